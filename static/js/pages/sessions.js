/** Everyone who is signed in, on every device. */
import { apps, get, Refusal } from '../lib/api.js';
import { called, STRATEGIES } from '../lib/fmt.js';
import { html, useEffect, useSignal } from '../lib/html.js';
import { navigate, query, setQuery, withQuery } from '../router.js';
import { Badge, Empty, Ended, Head, Icon, Said, StrategyBadge, Time, When } from '../ui/parts.js';
import { BulkBar, FilterBar, Table, useChoice, useList } from '../ui/table.js';

/** @typedef {import('../ui/table.js').Column} Column */

/** Asked for when somebody wants to end sessions: the list itself does without. */
const revoking = () => import('./revoke.js');

const may = (/** @type {any} */ session) => session.state === 'live' && !session.current;
const nameOf = (/** @type {any} */ session) => `${called(session.user)}, ${session.device}`;

const columns = /** @type {Column[]} */ ([
  { name: 'user', title: 'User', cell: ({ user }) => (user.login === null
    ? html`<span class="muted">Deleted user</span>`
    : html`<a class="strong" href="/admin/users/${user.id}"><${Said}>${called(user)}<//></a>
        <${Said} class="sub">${user.email ?? user.login}<//>`) },
  { name: 'device', title: 'Device', cell: session => html`
    <a class="device" href="/admin/sessions/${session.id}"><${Icon} name=${session.device_kind} />
      <${Said}>${session.device}<//></a>
    ${session.current
      ? html`<${Badge} kind="good">This device<//>`
      : html`<span class="sub">since <${When} at=${session.opened_at} /></span>`}` },
  { name: 'network', title: 'Network', cell: session => html`
    <${Said} class="mono">${session.address}<//><${Said} class="sub">${session.network}<//>` },
  { name: 'app', title: 'App', cell: session => html`
    <${StrategyBadge} strategy=${session.strategy} /><${Said} class="sub">${session.app}<//>` },
  { name: 'times', title: 'Last active', cell: session => (session.ended_at
    ? html`<span>ended <${Time} at=${session.ended_at} /></span><span class="sub"><${Ended} session=${session} /></span>`
    : html`<${Time} at=${session.last_seen_at} /><span class="sub">ends <${Time} at=${endOf(session)} /></span>`) },
]);

const ABOUT = /** @type {Record<string, string>} */ ({
  live: 'Everyone who is signed in right now, on every device.',
  ended: 'Sessions that are over, and how they ended.',
  all: 'All sessions, live and ended.',
});

const endOf = (/** @type {any} */ { idle_expires_at: idle, expires_at: end }) => (idle && idle < end ? idle : end);

/** @param {{ reload: () => void, leave?: string }} props @returns {Column} */
const actions = ({ reload }) => ({
  name: 'act', title: 'Actions', hidden: true, cell: session => session.state === 'live' && html`
    <button type="button" class="button slim" disabled=${session.current}
      title=${session.current ? 'Your own session: sign out instead' : null}
      aria-label="Revoke ${nameOf(session)}"
      onClick=${async () => (await revoking()).revoke([session], reload)}>Revoke</button>`,
});

/** The sessions of one user or of all, with what can be done to them.
 * @param {{ filter: Record<string, string | undefined>, empty: any, without?: string[], changed?: () => void }} props */
export function SessionList({ filter, empty, without = [], changed }) {
  const list = useList('/admin/sessions', filter);
  const choice = useChoice(list, may);
  const reload = () => {
    choice.clear();
    list.reload();
    changed?.();
  };
  const { state: _, ...rest } = filter;
  /** @param {any[]} rows */
  const act = async rows => {
    const { revoke, revokeMatching } = await revoking();
    await (choice.all.value ? revokeMatching(rest, reload) : revoke(rows, reload));
  };
  return html`
    <${Table} list=${list} label="Sessions" choice=${filter.state === 'ended' ? undefined : choice} name=${nameOf}
      columns=${[...columns.filter(column => !without.includes(column.name)), actions({ reload })]} empty=${empty}
      act=${act}
      open=${(/** @type {any} */ row) => navigate(`/admin/sessions/${row.id}`)} />
    <${BulkBar} choice=${choice} more=${!!list.next.value && filter.state !== 'all'} action="Revoke…"
      act=${() => act([...choice.rows.value.values()])} />`;
}

/** Logins that begin like this, for the search.
 * @param {string} text @returns {Promise<string[]>} */
const logins = async text =>
  (await get(withQuery('/admin/users', { q: text, limit: 8 }))).items.map((/** @type {any} */ user) => user.login);

export default function Sessions() {
  const overview = useSignal(/** @type {any} */ (null));
  const appOptions = useSignal(/** @type {[string, string][]} */ ([]));
  const look = () => get('/admin/overview').then(figures => void (overview.value = figures), refuse);
  useEffect(() => {
    look();
    apps().then(known => void (appOptions.value = known.map(app => [app.id, app.name])), refuse);
    const timer = setInterval(() => document.visibilityState === 'visible' && look(), 30_000);
    return () => clearInterval(timer);
  }, []);

  const { user, app, strategy, network, state } = query.value;
  const filter = { user, app, strategy, network, state };
  const filtered = user || app || strategy || network;
  const clear = () => setQuery({ user: '', app: '', strategy: '', network: '' });
  const empty = filtered
    ? html`<${Empty} icon="search" title="No session matches these filters">
        <span class="muted">A user is found by the whole login, e-mail or id; a network like 192.0.2.0/24.</span>
        <button type="button" class="button" onClick=${clear}>Clear filters</button><//>`
    : html`<${Empty} icon="sessions" title=${state === 'ended' ? 'No session has ended yet' : 'Nobody is signed in'}>
        <span class="muted">A session appears here when somebody signs in to one of your apps.</span><//>`;
  return html`
    <${Head} title="Sessions" aside=${html`<${Live} figures=${overview.value} />`}>
      ${ABOUT[state || 'live']}<//>
    ${overview.value?.attention.map((/** @type {any} */ { code, message }) => html`
      <div class="notice warn" key=${code}><strong>Needs attention</strong><span>${message}</span></div>`)}
    <${FilterBar} label="Filter sessions" filters=${[
      { name: 'user', label: 'User: login, e-mail or id', kind: 'search', suggest: logins },
      { name: 'network', label: 'Network or address', kind: 'text' },
      { name: 'app', label: 'App', kind: 'select', options: [['', 'Any app'], ...appOptions.value] },
      { name: 'strategy', label: 'Kind', kind: 'select', options: [['', 'Any kind'],
        ...Object.entries(STRATEGIES).filter(([id]) => id !== 'jwt')] },
      { name: 'state', label: 'State', kind: 'select', options: [['', 'Live'], ['ended', 'Ended'], ['all', 'Live and ended']] },
    ]} />
    <${SessionList} filter=${filter} empty=${empty} changed=${look} />`;
}

/** Figures are an extra: without them the page still works.
 * @param {unknown} error */
const refuse = error => {
  if (!(error instanceof Refusal)) throw error;
};

/** @param {{ figures: any }} props */
const Live = ({ figures }) => html`<span class="pill ${figures ? '' : 'waiting'}">
  <span class="dot" /><strong>${figures ? figures.live_sessions.toLocaleString('en') : '–'}</strong> live</span>`;
