/** What was revoked before its time. */
import { call, get } from '../lib/api.js';
import { byWhom, reasonInWords } from '../lib/fmt.js';
import { html } from '../lib/html.js';
import { query, setQuery, withQuery } from '../router.js';
import { ask } from '../ui/form.js';
import { Badge, Empty, Head, Icon, Id, Said, Time, toast, useKeys } from '../ui/parts.js';
import { FilterBar, Table, useList } from '../ui/table.js';

const KINDS = /** @type {Record<string, { label: string, badge: string, strikes: string }>} */ ({
  token: { label: 'Token', badge: 'warn', strikes: 'One access token' },
  session: { label: 'Session', badge: 'good', strikes: 'Every token of the session' },
  user: { label: 'User', badge: 'danger', strikes: 'Every older token of the user' },
  key: { label: 'Key', badge: 'info', strikes: 'Every token that the key signed' },
});

/** @param {{ reload: () => void }} props */
const columns = ({ reload }) => /** @type {import('../ui/table.js').Column[]} */ ([
  { name: 'what', title: 'What', cell: ({ kind, subject }) => html`
    <span><${Badge} kind=${KINDS[kind].badge}>${KINDS[kind].label}<//></span>
    <${Id} id=${subject} what="${kind} id" />` },
  { name: 'user', title: 'User', cell: ({ user }) => (user
    ? html`<a href="/admin/users/${user.id}"><${Said}>${user.login ?? 'Deleted user'}<//></a>`
    : html`<span class="muted">not known</span>`) },
  { name: 'reason', title: 'Reason', cell: entry => html`
    <${Said}>${entry.reason ? reasonInWords(entry.reason) : 'No reason given'}<//>
    <${Said} class="sub">${byWhom(entry.by) || 'by Hallpass'}<//>` },
  { name: 'times', title: 'Since', cell: ({ at, until }) => html`
    <${Time} at=${at} /><span class="sub">leaves <${Time} at=${until} /></span>` },
  { name: 'act', title: 'Actions', hidden: true, cell: entry => (entry.manual
    ? html`<button type="button" class="button slim" aria-label="Remove token ${entry.subject}"
        onClick=${() => remove(entry, reload)}>Remove</button>`
    : html`<span class="muted small" title="Only token entries that were made by hand can be removed">Final</span>`) },
]);

/** @param {any} entry @param {() => void} done */
async function remove(entry, done) {
  const answer = await ask({
    title: 'Take the token off the blacklist?',
    lead: html`<${Id} id=${entry.subject} whole what="token id" />`,
    points: [{ icon: 'warn', text: 'Until it expires, whoever holds the token can use it again.' }],
    danger: true,
    action: 'Remove entry',
    run: () => call('DELETE', `/admin/blacklist/${entry.id}`),
  });
  if (!answer) return;
  toast('Entry removed.');
  done();
}

const STRIKES = /** @type {Record<string, { label: string, hint: string, does: string, text: string }>} */ ({
  token: { label: 'A token, pasted', hint: 'An access token, a refresh token or a session value. Only its identifier is kept.',
    does: 'An access token is refused from now on; a refresh token or session value ends its whole session.', text: 'Token' },
  jti: { label: 'A token, by its jti', hint: 'The claim jti of the access token.',
    does: 'The token is refused from now on. This entry can be removed again.', text: 'jti' },
  sid: { label: 'A session, by its sid', hint: 'The claim sid of a token, or an id from the list of sessions.',
    does: 'The session ends, and every token of it is refused. This is final.', text: 'sid' },
  user_id: { label: 'A user', hint: 'Login, e-mail or id.',
    does: 'Everything of the user ends, and every token so far is refused. They can sign in anew. This is final.',
    text: 'User' },
  kid: { label: 'A signing key, by its kid', hint: 'From a token’s header. Use it when the key has leaked.',
    does: 'Every token that this key signed is refused, of all people and apps; a new key signs from now on. This is '
      + 'final.', text: 'kid' },
});

/** A user's id by what an administrator would type.
 * @param {string} text */
async function userId(text) {
  const { items } = await get(withQuery('/admin/users', { q: text, limit: 50 }));
  const same = (/** @type {string | null} */ name) => name?.toLowerCase() === text.toLowerCase();
  return items.find((/** @type {any} */ user) => same(user.login) || same(user.email))?.id ?? text;
}

/** @param {() => void} done */
async function add(done) {
  const answer = await ask({
    title: 'Add to the blacklist',
    wide: true,
    points: now => (now.kind ? [{ icon: now.kind === 'kid' ? 'warn' : 'check', text: STRIKES[now.kind].does },
      { icon: 'clock', text: 'Services that verify tokens by themselves must know the blacklist; those that do not '
        + 'accept a token until it expires.' }] : []),
    fields: now => {
      const kind = now.kind ?? 'token';
      const what = { name: kind, label: STRIKES[kind].text, hint: STRIKES[kind].hint, required: true };
      return [
        { name: 'kind', label: 'What', type: 'select', value: 'token',
          options: Object.entries(STRIKES).map(([value, { label }]) => ({ value, label })) },
        kind === 'token' ? { ...what, type: 'area', class: 'mono' } : what,
        { name: 'reason', label: 'Reason', hint: 'Everyone who administers can read it.', maxlength: 200 },
      ];
    },
    action: 'Blacklist',
    run: async ({ kind, reason, ...what }) => {
      const subject = kind === 'user_id' ? await userId(what[kind]) : what[kind];
      return call('POST', '/admin/blacklist', { [kind]: subject, reason });
    },
  });
  if (!answer) return;
  toast(`${KINDS[answer.kind].label} blacklisted.`);
  done();
}

export default function Blacklist() {
  const { kind } = query.value;
  const list = useList('/admin/blacklist', { kind });
  const create = () => add(list.reload);
  useKeys({ n: create });
  const empty = kind
    ? html`<${Empty} icon="search" title="Nothing of this kind is blacklisted">
        <button type="button" class="button" onClick=${() => setQuery({ kind: '' })}>Clear filters</button><//>`
    : html`<${Empty} icon="blacklist" title="Nothing is blacklisted">
        <span class="muted">Sign-outs and revocations put their tokens here until the last of them has expired.</span><//>`;
  return html`
    <${Head} title="Blacklist" aside=${html`
      <button type="button" class="button primary" onClick=${create}><${Icon} name="plus" />Add entry</button>`}>
      Access tokens that are refused before they expire. An entry leaves when nothing that it strikes can be alive.<//>
    <${FilterBar} label="Filter the blacklist" filters=${[
      { name: 'kind', label: 'Kind', kind: 'select', options: [['', 'Any kind'],
        ...Object.entries(KINDS).map(([id, { label, strikes }]) => [id, `${label}: ${strikes.toLowerCase()}`])] },
    ]} />
    <${Table} list=${list} columns=${columns(list)} label="Blacklist" empty=${empty}
      name=${(/** @type {any} */ entry) => entry.subject} />`;
}
