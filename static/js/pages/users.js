/** People and machines with a login. */
import { call } from '../lib/api.js';
import { called } from '../lib/fmt.js';
import { html } from '../lib/html.js';
import { navigate, query, setQuery, withQuery } from '../router.js';
import { ask } from '../ui/form.js';
import { Badge, Empty, Head, Icon, Said, Time, toast, useKeys, When } from '../ui/parts.js';
import { FilterBar, Table, useList } from '../ui/table.js';

/** @typedef {import('../ui/form.js').FieldSpec} FieldSpec */

const columns = /** @type {import('../ui/table.js').Column[]} */ ([
  { name: 'user', title: 'User', cell: user => html`
    <a class="strong" href="/admin/users/${user.id}"><${Said}>${called(user)}<//></a><${Said} class="sub">${user.login}<//>` },
  { name: 'email', title: 'E-mail', cell: user => html`<${Email} user=${user} />` },
  { name: 'role', title: 'Role', cell: user => html`
    <span><${Role} user=${user} /><${Standing} user=${user} /></span>
    ${user.groups.length > 0 && html`<${Said} class="sub">${user.groups.join(', ')}<//>`}` },
  { name: 'count', title: 'Sessions', cell: user => html`
    <a href=${withQuery('/admin/sessions', { user: user.login })} aria-label="${user.live_sessions} sessions of ${user.login}">
      ${user.live_sessions.toLocaleString('en')}</a>` },
  { name: 'times', title: 'Last sign-in', cell: user => html`
    ${user.last_sign_in_at ? html`<${Time} at=${user.last_sign_in_at} />` : html`<span class="muted">never</span>`}
    <span class="sub">created <${When} at=${user.created_at} /></span>` },
]);

/** @param {{ user: any }} props */
export const Email = ({ user }) => (user.email
  ? html`<${Said}>${user.email}<//> ${!user.email_verified && html`<${Badge} kind="warn">Not confirmed<//>`}`
  : html`<span class="muted">none</span>`);

/** @param {{ user: any }} props */
export const Role = ({ user }) => (user.role === 'admin' ? html`<${Badge} kind="info">Admin<//>` : html`<${Badge}>User<//>`);

/** Only what is out of the ordinary is said.
 * @param {{ user: any }} props */
export const Standing = ({ user }) => (user.state === 'enabled' ? null : html` <${Badge} kind="danger">Disabled<//>`);

/** The fields of a user, for making and for changing one.
 * @param {any} [user] @returns {FieldSpec[]} */
export const userFields = user => [
  { name: 'login', label: 'Login', value: user?.login, hint: 'What they sign in with. No @.', required: true,
    maxlength: 64, autocapitalize: 'none' },
  { name: 'name', label: 'Name', value: user?.name, maxlength: 200 },
  { name: 'email', label: 'E-mail', type: 'email', value: user?.email, hint: 'Optional. They can sign in with it, too.' },
  { name: 'role', label: 'Role', type: 'select', value: user?.role ?? 'user',
    options: [{ value: 'user', label: 'User' }, { value: 'admin', label: 'Administrator: may do everything here' }] },
  { name: 'groups', label: 'Groups', type: 'lines', value: user?.groups, rows: 2,
    hint: 'Optional, one a line. Apps read them.' },
];

async function create() {
  const user = await ask({
    title: 'Create user',
    fields: [
      ...userFields(),
      { name: 'password', label: 'Password', type: 'password', autocomplete: 'new-password',
        hint: 'A few unrelated words make a good one. Without any they cannot sign in until one is set.' },
    ],
    action: 'Create user',
    run: ({ email, password, ...rest }) =>
      call('POST', '/admin/users', { ...rest, email: email || undefined, password: password || undefined }),
  });
  if (!user) return;
  toast(`User ${user.login} created.`);
  navigate(`/admin/users/${user.id}`);
}

export default function Users() {
  const { q, state, role } = query.value;
  const list = useList('/admin/users', { q, state, role });
  useKeys({ n: create });
  const empty = q || state || role
    ? html`<${Empty} icon="search" title="No user matches these filters">
        <span class="muted">The search finds the beginnings of logins, e-mails and words of names.</span>
        <button type="button" class="button" onClick=${() => setQuery({ q: '', state: '', role: '' })}>
          Clear filters</button><//>`
    : html`<${Empty} icon="users" title="No users yet" />`;
  return html`
    <${Head} title="Users" aside=${html`
      <button type="button" class="button primary" onClick=${create}><${Icon} name="plus" />Create user</button>`}>
      Everyone who can sign in, to any app.<//>
    <${FilterBar} label="Filter users" filters=${[
      { name: 'q', label: 'Login, e-mail or name', kind: 'search' },
      { name: 'role', label: 'Role', kind: 'select',
        options: [['', 'Any role'], ['admin', 'Administrators'], ['user', 'Users']] },
      { name: 'state', label: 'State', kind: 'select',
        options: [['', 'Any state'], ['enabled', 'Enabled'], ['disabled', 'Disabled']] },
    ]} />
    <${Table} list=${list} columns=${columns} label="Users" name=${called} empty=${empty}
      open=${(/** @type {any} */ user) => navigate(`/admin/users/${user.id}`)} />`;
}
