/** One app: its settings, its secrets, and how to call it. */
import { call, forgetApps, get, Refusal } from '../lib/api.js';
import { lifetime } from '../lib/fmt.js';
import { html, useEffect, useSignal } from '../lib/html.js';
import { navigate } from '../router.js';
import { ask, useForm } from '../ui/form.js';
import { Copyable, Failure, Head, Id, Said, Skeleton, StrategyBadge, Time, toast, When } from '../ui/parts.js';
import { CHOICES, Marks, showSecret } from './apps.js';
import { consequences } from './revoke.js';
import { Act } from './user.js';

/** @typedef {import('../lib/api.js').App} App */

/** What can be changed of an app; what means nothing to its strategy is left out.
 * @param {App} app @returns {import('../ui/form.js').FieldSpec[]} */
const fieldsOf = app => {
  const [sessions, tokens] = [app.strategy !== 'jwt', app.strategy !== 'session'];
  const idle = app.strategy === 'session' || app.strategy === 'refresh';
  return [
    { name: 'name', label: 'Name', value: app.name, maxlength: 200, required: true },
    { name: 'audience', label: 'Audience', value: app.audience, hint: 'The claim aud of its access tokens: services check it.',
      unless: !tokens, maxlength: 200, spellcheck: false },
    { name: 'algorithm', label: 'Signing algorithm', type: 'select', value: app.algorithm, unless: !tokens,
      options: ['ES256', 'EdDSA', 'RS256'].map(value => ({ value, label: value })),
      hint: 'ES256 unless a service cannot verify it.' },
    { name: 'access_minutes', label: 'Access token lives', type: 'minutes', value: app.access_minutes, unless: !tokens,
      hint: 'What a service that checks by itself goes on accepting after a revocation.' },
    { name: 'idle_minutes', label: app.strategy === 'refresh' ? 'Ends when not refreshed for' : 'Ends when unused for',
      type: 'minutes', value: app.idle_minutes, unless: !idle },
    { name: 'absolute_minutes', label: 'Ends in any case after', type: 'minutes', value: app.absolute_minutes,
      unless: !sessions },
    { name: 'remember_minutes', label: 'Or, when asked to remember, after', type: 'minutes', value: app.remember_minutes,
      unless: !sessions },
    { name: 'origins', label: 'Allowed origins', type: 'lines', value: app.origins, spellcheck: false,
      hint: 'One a line, like https://app.example: web pages that may call with its cookie.' },
    { name: 'replay_match', label: 'A refresh token that comes twice is forgiven', type: 'select', value: app.replay_match,
      unless: app.strategy !== 'refresh',
      options: [{ value: 'network+agent', label: 'from the same network and browser' },
        { value: 'agent', label: 'from the same browser' }, { value: 'none', label: 'from anywhere' }],
      hint: 'Within 30 seconds, for tabs that refresh at once. From elsewhere each gets a token of its own, and whoever '
        + 'is second to use it ends the session.' },
    { name: 'appliance_access', label: 'Its credentials open Hallpass’s own API', type: 'check', value: app.appliance_access,
      hint: 'An administrator’s token of this app can then do everything here: only for apps that you trust like '
        + 'Hallpass itself.' },
  ];
};

/** A changed value of the form, and nothing else: what somebody else changed meanwhile stays.
 * @param {App} app @param {Record<string, any>} values */
export const changes = (app, values) => Object.fromEntries(
  Object.entries(values).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(app[name])));

/** @param {{ id: string }} props */
export default function AppPage({ id }) {
  const app = useSignal(/** @type {App | null} */ (null));
  const refusal = useSignal(/** @type {Refusal | null} */ (null));
  const load = () => get(`/admin/apps/${encodeURIComponent(id)}`).then(
    found => void ([app.value, refusal.value] = [found, null]),
    error => void (refusal.value = error));
  /** @param {App} [changed] */
  const set = changed => {
    forgetApps();
    if (changed) app.value = changed;
    else load();
  };
  useEffect(() => void load(), [id]);

  const back = { href: '/admin/apps', label: 'Apps' };
  const found = app.value;
  if (refusal.value) return html`<${Head} title="App" back=${back} /><${Failure} refusal=${refusal.value} again=${load} />`;
  if (!found) return html`<${Head} title="App" back=${back} /><${Skeleton} lines=${8} />`;
  return html`
    <${Head} title=${found.name} back=${back}
      badges=${html`<${StrategyBadge} strategy=${found.strategy} /><${Marks} app=${found} />`}>
      <${Id} id=${found.id} whole what="app id" /> ${CHOICES[found.strategy].text}<//>
    <${Settings} app=${found} set=${set} />
    ${found.confidential && html`<${Secrets} app=${found} set=${set} />`}
    <${Calls} app=${found} />
    <${Danger} app=${found} set=${set} />`;
}

/** @param {{ app: App, set: (app?: App) => void }} props */
function Settings({ app, set }) {
  const form = useForm(fieldsOf(app), async values => {
    const changed = changes(app, values);
    if (!Object.keys(changed).length) return toast('Nothing was changed.');
    set(await call('PATCH', `/admin/apps/${app.id}`, changed));
    toast('Settings saved. Lifetimes count for new sign-ins and tokens.');
  });
  return html`<form class="card stack" aria-labelledby="settings" ...${form.attributes}>
    <h2 id="settings">Settings</h2>
    ${form.failure}
    <div class="two-columns">${form.fields}</div>
    <div class="row"><button class="button primary" disabled=${form.busy}>Save settings</button></div>
  </form>`;
}

/** @param {{ app: App, set: (app?: App) => void }} props */
function Secrets({ app, set }) {
  const add = async () => {
    const answer = await ask({
      title: html`Add a secret to <${Said}>${app.name}<//>?`,
      points: [{ text: 'The secret so far goes on working, so the app can change without a gap.' },
        { text: 'Remove the old one when the app uses the new one.' }],
      action: 'Add secret',
      run: () => call('POST', `/admin/apps/${app.id}/secrets`),
    });
    if (!answer) return;
    await showSecret(app.id, answer.client_secret);
    set();
  };
  /** @param {any} secret */
  const remove = async secret => {
    const answer = await ask({
      title: 'Remove this secret?',
      points: [{ icon: 'warn', text: 'Whoever still uses it is refused at once.' },
        ...(app.secrets.length > 1 ? [] : [
          { icon: 'warn', text: 'It is the only one: the app cannot prove itself until you add another.' }])],
      danger: true,
      action: 'Remove secret',
      run: () => call('DELETE', `/admin/apps/${app.id}/secrets/${secret.id}`),
    });
    if (!answer) return;
    toast('Secret removed.');
    set();
  };
  const confirm = async () => {
    const answer = await ask({
      title: html`Confirm the secrets of <${Said}>${app.name}<//>?`,
      points: [{ icon: 'warn', text: 'They count again, also one that was removed since the backup that brought it back.' },
        { text: 'When in doubt, add a new secret and remove the suspended ones instead.' }],
      action: 'Confirm secrets',
      run: () => call('POST', `/admin/apps/${app.id}/secrets/confirm`),
    });
    if (!answer) return;
    toast('Secrets confirmed.');
    set();
  };
  const suspended = app.secrets.some((/** @type {any} */ secret) => secret.suspended);
  return html`<section class="card stack" aria-labelledby="secrets">
    <div class="row"><h2 id="secrets">Secrets</h2>
      <button type="button" class="button end" disabled=${app.secrets.length >= 2} onClick=${add}>Add secret</button></div>
    ${app.secrets.length === 0 && html`<p class="muted">There is none, so the app cannot prove itself.</p>`}
    ${suspended && html`<div class="notice warn row"><span>Everything was ended, as after a restore: suspended secrets are refused
      until you confirm them.</span><button type="button" class="button end" onClick=${confirm}>Confirm…</button></div>`}
    ${app.secrets.map((/** @type {any} */ secret) => html`<div class="act" key=${secret.id}>
      <div><${Id} id=${secret.id} what="secret’s id" />
        <p class="muted small">${secret.suspended && html`<strong>suspended</strong> · `}created <${When} at=${secret.created_at} /> · ${secret.last_used_at
          ? html`last used <${Time} at=${secret.last_used_at} />` : 'never used'}</p></div>
      <button type="button" class="button" aria-label="Remove secret ${secret.id}"
        onClick=${() => remove(secret)}>Remove…</button>
    </div>`)}
  </section>`;
}

/** Commands that work as they stand, but for the names in capitals.
 * @param {App} app @param {string} origin */
export function snippets(app, origin) {
  const transport = app.strategy === 'session' ? ', "transport": "body"' : '';
  const login = `{"app": "${app.id}", "login": "ada", "password": "PASSWORD"${transport}}`;
  /** @param {string} path @param {string[]} options */
  const curl = (path, ...options) => [`curl -sS ${origin}${path}`, ...options].join(' \\\n  ');
  const json = "-H 'content-type: application/json'";
  const bearer = app.strategy === 'session' ? 'SESSION_TOKEN' : 'ACCESS_TOKEN';
  const all = [
    { what: 'Sign in', text: curl('/api/v1/auth/login', json, `-d '${login}'`) },
    { what: 'Check who is calling', text: curl('/api/v1/auth/session', `-H 'authorization: Bearer ${bearer}'`) },
  ];
  if (app.strategy === 'refresh') {
    all.push({ what: 'Refresh',
      text: curl('/api/v1/auth/refresh', json, `-d '{"refresh_token": "REFRESH_TOKEN"}'`) });
  }
  if (app.confidential) {
    const text = curl('/oauth2/introspect', `-u '${app.id}:CLIENT_SECRET'`, `-d 'token=${bearer}'`);
    all.push({ what: 'Ask about a token', text });
  }
  return all;
}

/** @param {{ app: App }} props */
const Calls = ({ app }) => html`<section class="card stack" aria-labelledby="calls">
  <h2 id="calls">Call it</h2>
  ${snippets(app, location.origin).map(({ what, text }) => html`
    <div class="stack tight" key=${what}><h3>${what}</h3><${Copyable} text=${text} what=${what} /></div>`)}
</section>`;

/** @param {{ app: App, set: (app?: App) => void }} props */
function Danger({ app, set }) {
  const enabled = app.state === 'enabled';
  const ends = () => consequences(new Set([app.strategy]), [app]);
  const toggle = async () => {
    const answer = await ask(enabled ? {
      title: html`Disable <${Said}>${app.name}<//>?`,
      lead: 'Nobody can sign in to it, and its sessions are refused until it is enabled again.',
      points: app.strategy === 'session' ? [] : [{ icon: 'clock', text: 'Services that verify tokens by themselves '
        + `accept those already handed out until they expire: up to ${lifetime(app.access_minutes)}.` }],
      danger: true,
      action: 'Disable app',
      run: () => call('PATCH', `/admin/apps/${app.id}`, { state: 'disabled' }),
    } : {
      title: html`Enable <${Said}>${app.name}<//>?`,
      lead: 'People can sign in to it again, and sessions that have not expired go on.',
      action: 'Enable app',
      run: () => call('PATCH', `/admin/apps/${app.id}`, { state: 'enabled' }),
    });
    if (!answer) return;
    set(answer);
    toast(`App ${app.id} is ${answer.state}.`);
  };
  const remove = async () => {
    const answer = await ask({
      title: html`Delete <${Said}>${app.name}<//> for ever?`,
      lead: 'Its sessions and tokens are refused from now on. The id is never used again, so that old tokens stay dead.',
      points: ends(),
      typed: app.id,
      danger: true,
      action: 'Delete app',
      run: () => call('DELETE', `/admin/apps/${app.id}`),
    });
    if (!answer) return;
    forgetApps();
    toast(`App ${app.id} is deleted.`);
    navigate('/admin/apps');
  };
  return html`<section class="card danger-zone stack" aria-labelledby="danger">
    <h2 id="danger">Danger zone</h2>
    <${Act} title=${enabled ? 'Disable' : 'Enable'}
      does=${enabled ? 'A pause: sign-ins and sessions are refused meanwhile.' : 'Ends the pause.'}>
      <button type="button" class="button ${enabled ? 'danger-quiet' : ''}" onClick=${toggle}>
        ${enabled ? 'Disable…' : 'Enable…'}</button><//>
    ${app.built_in ? html`<p class="muted">A built-in app cannot be deleted.</p>` : html`
      <${Act} title="Delete" does="Its sessions end with it. It cannot be undone.">
        <button type="button" class="button danger-quiet" onClick=${remove}>Delete…</button><//>`}
  </section>`;
}
