/** One user: who they are, where they are signed in, and what can be done about it. */
import { apps, call, get, me, Refusal } from '../lib/api.js';
import { called, count } from '../lib/fmt.js';
import { html, useEffect, useSignal } from '../lib/html.js';
import { navigate, query, setQuery } from '../router.js';
import { ask } from '../ui/form.js';
import { Badge, Empty, Facts, Failure, Head, Id, Said, Skeleton, toast, When } from '../ui/parts.js';
import { consequences } from './revoke.js';
import { SessionList } from './sessions.js';
import { Email, Role, Standing, userFields } from './users.js';

const ALL = new Set(['session', 'refresh', 'tracked', 'jwt']);

/** What ends when everything of a user ends.
 * @param {any} user */
async function everything(user) {
  const known = await apps();
  const points = consequences(new Set(known.map(app => app.strategy).filter(strategy => ALL.has(strategy))), known);
  const own = user.id === me.value?.id;
  return own ? [...points, { icon: 'warn', text: 'This is you: your own session here ends, too.' }] : points;
}

/** After something that ended one's own session this answers nothing: the API has sent us to sign in.
 * @param {any} user @param {string} said @param {(user?: any) => void} done @param {any} [answer] */
function finish(user, said, done, answer) {
  toast(said);
  done(answer === true ? undefined : answer);
}

const actions = {
  /** @param {any} user @param {(user?: any) => void} done */
  async edit(user, done) {
    const answer = await ask({
      title: html`Edit <${Said}>${called(user)}<//>`,
      fields: [...userFields(user),
        { name: 'email_verified', label: 'The e-mail is confirmed: it is a sign-in name', type: 'check',
          value: user.email_verified }],
      points: now => (now.role && now.role !== user.role
        ? [{ icon: 'warn', text: 'A new role ends every session and token of theirs: they sign in again.' }] : []),
      action: 'Save changes',
      run: ({ email, email_verified: verified, ...rest }) =>
        call('PATCH', `/admin/users/${user.id}`, { ...rest, email: email || null, email_verified: !!email && verified }),
    });
    if (answer) finish(user, 'Changes saved.', done, answer);
  },
  /** @param {any} user @param {(user?: any) => void} done */
  async password(user, done) {
    const answer = await ask({
      title: html`Set a password for <${Said}>${called(user)}<//>`,
      points: [{ text: 'Everything of theirs ends: they sign in again with the new password.' },
        { icon: 'info', text: html`To let them choose one themselves, run
          <code>hallpass user reset-password ${user.login}</code> on the server and hand them the link.` }],
      fields: [{ name: 'new_password', label: 'New password', type: 'password', autocomplete: 'new-password',
        hint: 'A few unrelated words make a good one.', required: true }],
      action: 'Set password',
      run: values => call('PUT', `/admin/users/${user.id}/password`, values),
    });
    if (answer) finish(user, `Password of ${user.login} set.`, done);
  },
  /** @param {any} user @param {(user?: any) => void} done */
  async signOut(user, done) {
    const answer = await ask({
      title: html`Sign <${Said}>${called(user)}<//> out everywhere?`,
      lead: `This ends ${count(user.live_sessions, 'live session')} and every token of theirs. They can sign in again at once.`,
      points: await everything(user),
      danger: true,
      action: 'Sign out everywhere',
      run: () => call('DELETE', `/admin/users/${user.id}/sessions`),
    });
    if (answer) finish(user, `${user.login} is signed out everywhere.`, done);
  },
  /** @param {any} user @param {(user?: any) => void} done */
  async disable(user, done) {
    const answer = await ask({
      title: html`Disable <${Said}>${called(user)}<//>?`,
      lead: `They cannot sign in until enabled again, and ${count(user.live_sessions, 'live session')} of theirs will end.`,
      points: await everything(user),
      danger: true,
      action: 'Disable user',
      run: () => call('PATCH', `/admin/users/${user.id}`, { state: 'disabled' }),
    });
    if (answer) finish(user, `${user.login} is disabled.`, done, answer);
  },
  /** @param {any} user @param {(user?: any) => void} done */
  async enable(user, done) {
    const answer = await ask({
      title: html`Enable <${Said}>${called(user)}<//>?`,
      lead: 'They can sign in again. What has ended stays ended.',
      action: 'Enable user',
      run: () => call('PATCH', `/admin/users/${user.id}`, { state: 'enabled' }),
    });
    if (answer) finish(user, `${user.login} is enabled.`, done, answer);
  },
  /** @param {any} user @param {(user?: any) => void} done */
  async cutOff(user, done) {
    const answer = await ask({
      title: html`Cut off <${Said}>${called(user)}<//>?`,
      lead: `One act for the worst case: the user is disabled, ${count(user.live_sessions, 'live session')} and every `
        + 'token end, and their tokens are blacklisted.',
      points: await everything(user),
      danger: true,
      action: 'Cut off',
      run: () => call('POST', `/admin/users/${user.id}/cut-off`),
    });
    if (answer) finish(user, `${user.login} is cut off.`, done, answer);
  },
  /** @param {any} user */
  async remove(user) {
    const answer = await ask({
      title: html`Delete <${Said}>${called(user)}<//> for ever?`,
      lead: 'The account and its password go; login and e-mail are free for somebody else. It cannot be undone.',
      points: await everything(user),
      typed: user.login,
      danger: true,
      action: 'Delete user',
      run: () => call('DELETE', `/admin/users/${user.id}`),
    });
    if (!answer) return;
    toast(`${user.login} is deleted.`);
    navigate('/admin/users');
  },
};

/** @param {{ id: string }} props */
export default function User({ id }) {
  const user = useSignal(/** @type {any} */ (null));
  const refusal = useSignal(/** @type {Refusal | null} */ (null));
  // The count of live sessions follows an act a moment later; the list itself is right at once, so it is read anew.
  const acts = useSignal(0);
  const load = () => get(`/admin/users/${encodeURIComponent(id)}`).then(
    found => void ([user.value, refusal.value] = [found, null]),
    error => void (refusal.value = error));
  useEffect(() => void load(), [id]);

  const back = { href: '/admin/users', label: 'Users' };
  const found = user.value;
  if (refusal.value) return html`<${Head} title="User" back=${back} /><${Failure} refusal=${refusal.value} again=${load} />`;
  if (!found) return html`<${Head} title="User" back=${back} /><${Skeleton} lines=${6} />`;
  const enabled = found.state === 'enabled';
  const act = (/** @type {keyof typeof actions} */ name) => () =>
    actions[name](found, changed => {
      acts.value++;
      if (changed) user.value = changed;
      else load();
    });
  const button = (/** @type {keyof typeof actions} */ name, /** @type {string} */ text, kind = '') => html`
    <button type="button" class="button ${kind}" onClick=${act(name)}>${text}</button>`;
  return html`
    <${Head} title=${called(found)} back=${back}
      badges=${html`<${Role} user=${found} /><${Standing} user=${found} />
        ${found.id === me.value?.id && html`<${Badge} kind="good">You<//>`}`}
      aside=${html`${button('edit', 'Edit')}${button('password', 'Set password')}`} />
    <section class="card" aria-label="Details">
      <${Facts} of=${[
        ['Login', html`<${Said} class="mono">${found.login}<//>`],
        ['E-mail', html`<${Email} user=${found} />`],
        ['Groups', found.groups.length ? html`<${Said}>${found.groups.join(', ')}<//>` : 'none'],
        ['User', html`<${Id} id=${found.id} whole what="user id" />`],
        ['Last sign-in', found.last_sign_in_at ? html`<${When} at=${found.last_sign_in_at} />` : 'never'],
        ['Password set', found.password_changed_at ? html`<${When} at=${found.password_changed_at} />` : 'never'],
        ['Created', html`<${When} at=${found.created_at} />`],
      ]} />
    </section>
    <section class="stack" aria-labelledby="sessions">
      <div class="row">
        <h2 id="sessions">Sessions</h2>
        <select class="input fit" aria-label="State of sessions" value=${query.value.state ?? ''}
          onChange=${(/** @type {any} */ event) => setQuery({ state: event.target.value })}>
          <option value="">Live</option><option value="ended">Ended</option><option value="all">Live and ended</option>
        </select>
        <button type="button" class="button end" disabled=${!found.live_sessions} onClick=${act('signOut')}>
          Sign out everywhere</button>
      </div>
      <${SessionList} key=${`${found.id} ${acts.value}`} without=${['user']} changed=${load}
        filter=${{ user: found.id, state: query.value.state }}
        empty=${html`<${Empty} icon="sessions" title="No sessions here" />`} />
    </section>
    <section class="card danger-zone stack" aria-labelledby="danger">
      <h2 id="danger">Danger zone</h2>
      <${Act} title=${enabled ? 'Disable' : 'Enable'} does=${enabled
        ? 'Ends everything of theirs and refuses every sign-in, until enabled again.' : 'Lets them sign in again.'}>
        ${enabled ? button('disable', 'Disable…', 'danger-quiet') : button('enable', 'Enable…')}<//>
      ${enabled && html`<${Act} title="Cut off" does="Something is wrong right now: disables, ends and blacklists in one act.">
        ${button('cutOff', 'Cut off…', 'danger-quiet')}<//>`}
      <${Act} title="Delete" does="The account is gone for ever. Their ended sessions stay in the history for a while.">
        ${button('remove', 'Delete…', 'danger-quiet')}<//>
    </section>`;
}

/** One act of a danger zone, with one sentence of what it does.
 * @param {{ title: string, does: string, children?: any }} props */
export const Act = ({ title, does, children }) => html`
  <div class="act"><div><strong>${title}</strong><p class="muted">${does}</p></div>${children}</div>`;
