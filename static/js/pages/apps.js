/** The apps that sign people in here, each with its strategy. */
import { call, forgetApps } from '../lib/api.js';
import { lifetime } from '../lib/fmt.js';
import { html } from '../lib/html.js';
import { navigate } from '../router.js';
import { ask } from '../ui/form.js';
import { Badge, Copyable, Empty, Head, Icon, Said, StrategyBadge, toast, useKeys, When } from '../ui/parts.js';
import { Table, useList } from '../ui/table.js';

/** @typedef {import('../lib/api.js').App} App */
/** @typedef {import('../ui/form.js').FieldSpec} FieldSpec */

/** What choosing a strategy means. */
export const CHOICES = /** @type {Record<string, { title: string, text: string }>} */ ({
  refresh: {
    title: 'Short JWT and a refresh token',
    text: 'Services check tokens by themselves; ending a session stops its refresh at once, and its last access token '
      + 'within minutes. The right choice for most apps.',
  },
  session: {
    title: 'Session in a cookie',
    text: 'Nothing to steal from scripts, and it ends with the next request; in return every check asks Hallpass.',
  },
  tracked: {
    title: 'JWT bound to a session',
    text: 'A long-lived token that Hallpass still looks up, so it ends here at once; services that check by themselves '
      + 'accept it until it expires.',
  },
  jwt: {
    title: 'JWT alone',
    text: 'Nothing is kept, so checks are cheapest and there is no session to list or end: only the blacklist takes a '
      + 'token back.',
  },
});

const columns = /** @type {import('../ui/table.js').Column[]} */ ([
  { name: 'user', title: 'App', cell: app => html`
    <a class="strong" href="/admin/apps/${app.id}"><${Said}>${app.name}<//></a><${Said} class="sub mono">${app.id}<//>` },
  { name: 'app', title: 'Strategy', cell: app => html`<${StrategyBadge} strategy=${app.strategy} />
    <span class="sub">${app.confidential ? 'confidential' : 'public'}</span>` },
  { name: 'lives', title: 'Lifetimes', cell: app => html`<span>${lives(app)}</span>` },
  { name: 'state', title: 'State', cell: app => html`<${Marks} app=${app} />` },
  { name: 'times', title: 'Created', cell: app => html`<${When} at=${app.created_at} />` },
]);

/** @param {App} app */
const lives = app => [
  app.strategy !== 'session' && `token ${lifetime(app.access_minutes)}`,
  (app.strategy === 'session' || app.strategy === 'refresh') && `unused ${lifetime(app.idle_minutes)}`,
  app.strategy !== 'jwt' && `at most ${lifetime(app.absolute_minutes)}`,
].filter(Boolean).join(' · ');

/** @param {{ app: App }} props */
export const Marks = ({ app }) => html`<span class="marks">
  ${app.state === 'disabled' ? html`<${Badge} kind="danger">Disabled<//>` : html`<${Badge} kind="good">Enabled<//>`}
  ${app.built_in && html`<${Badge}>Built in<//>`}
  ${app.appliance_access && html`
    <${Badge} kind="info" title="Its credentials open Hallpass’s own API">Opens Hallpass<//>`}</span>`;

/** A secret is shown this once.
 * @param {string} app @param {string} secret */
export const showSecret = (app, secret) => ask({
  title: 'Keep this secret now',
  lead: html`<p>It is shown this once: Hallpass keeps only its digest. Give it to the app ${app} as its client secret.</p>
    <${Copyable} text=${secret} what="client secret" />`,
  cancel: 'I have kept it',
  wide: true,
});

async function create() {
  const answer = await ask({
    title: 'Create app',
    wide: true,
    fields: [
      { name: 'id', label: 'Id',
        hint: 'a-z, 0-9 and -, beginning with a letter. It stands in tokens and cookies and never changes.',
        required: true, maxlength: 32, autocapitalize: 'none', spellcheck: false },
      { name: 'name', label: 'Name', hint: 'For people.', maxlength: 200 },
      { name: 'strategy', label: 'How its users stay signed in', type: 'choice', value: 'refresh',
        options: Object.entries(CHOICES).map(([value, { title, text }]) => ({ value, label: title, text })) },
      { name: 'origins', label: 'Allowed origins', type: 'lines', rows: 2,
        hint: 'Optional, one a line, like https://app.example: web pages that may call with its cookie.' },
      { name: 'confidential', label: 'Confidential: it has a server that can keep a secret', type: 'check',
        hint: 'It gets a secret, by which it may look into tokens and write session data.' },
    ],
    action: 'Create app',
    run: ({ name, ...rest }) => call('POST', '/admin/apps', { ...rest, name: name || undefined }),
  });
  if (!answer) return;
  forgetApps();
  if (answer.client_secret) await showSecret(answer.id, answer.client_secret);
  toast(`App ${answer.id} created.`);
  navigate(`/admin/apps/${answer.id}`);
}

export default function Apps() {
  const list = useList('/admin/apps', {});
  useKeys({ n: create });
  return html`
    <${Head} title="Apps" aside=${html`
      <button type="button" class="button primary" onClick=${create}><${Icon} name="plus" />Create app</button>`}>
      What people sign in to. Each app picks how its users stay signed in.<//>
    <${Table} list=${list} columns=${columns} label="Apps" name=${(/** @type {App} */ app) => app.name}
      open=${(/** @type {App} */ app) => navigate(`/admin/apps/${app.id}`)}
      empty=${html`<${Empty} icon="apps" title="No apps" />`} />`;
}
