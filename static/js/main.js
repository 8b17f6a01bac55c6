/** The admin UI: its frame, and which page an address shows. */
import { askPasswordBy, learnWho, me, Refusal, signOut } from './lib/api.js';
import { called } from './lib/fmt.js';
import { html, render, useEffect, useRef, useSignal } from './lib/html.js';
import { match, navigate, path, start } from './router.js';
import { Failure, focusNextHeading, Head, Icon, Said, Skeleton, store, stored, toast, Toasts, useKeys } from './ui/parts.js';

const PAGES = [
  { pattern: '/admin/sessions', load: () => import('./pages/sessions.js') },
  { pattern: '/admin/sessions/:id', load: () => import('./pages/session.js') },
  { pattern: '/admin/users', load: () => import('./pages/users.js') },
  { pattern: '/admin/users/:id', load: () => import('./pages/user.js') },
  { pattern: '/admin/blacklist', load: () => import('./pages/blacklist.js') },
  { pattern: '/admin/apps', load: () => import('./pages/apps.js') },
  { pattern: '/admin/apps/:id', load: () => import('./pages/app.js') },
];

const NAV = [
  { group: 'People', href: '/admin/users', icon: 'users', label: 'Users', key: 'u' },
  { href: '/admin/sessions', icon: 'sessions', label: 'Sessions', key: 's' },
  { group: 'Tokens', href: '/admin/blacklist', icon: 'blacklist', label: 'Blacklist', key: 'b' },
  { group: 'Apps', href: '/admin/apps', icon: 'apps', label: 'Apps', key: 'a' },
];

const help = async () => (await import('./ui/help.js')).help(NAV);

/** @param {any} event */
function chooseTheme(event) {
  const theme = event.target.value;
  store('hallpass-theme', theme);
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** @param {{ open: boolean, close: () => void }} props */
function Side({ open, close }) {
  const theme = stored('hallpass-theme') ?? 'system';
  return html`<aside class="side" aria-label="Hallpass" data-open=${open}>
    <a class="brand" href="/admin/sessions"><img src=${FAVICON} alt="" width="24" height="24" />Hallpass</a>
    <nav aria-label="Admin" onClick=${close}>
      ${NAV.map(({ group, href, icon, label }) => html`
        ${group && html`<span class="group" key=${group}>${group}</span>`}
        <a key=${href} href=${href}
          aria-current=${path.value === href ? 'page' : path.value.startsWith(`${href}/`) ? 'true' : null}>
          <${Icon} name=${icon} />${label}</a>`)}
    </nav>
    <div class="side-foot">
      <button type="button" class="side-link" onClick=${help}><${Icon} name="keyboard" />Shortcuts</button>
      <a class="side-link" href="/account" aria-label="Your account: ${called(me.value ?? {})}">
        <${Icon} name="account" /><${Said}>${called(me.value ?? {})}<//></a>
      <button type="button" class="side-link" onClick=${signOut}><${Icon} name="leave" />Sign out</button>
      <select class="input" aria-label="Theme" onChange=${chooseTheme}>
        ${[['system', 'System theme'], ['light', 'Light theme'], ['dark', 'Dark theme']].map(([value, text]) => html`
          <option value=${value} selected=${value === theme}>${text}</option>`)}
      </select>
    </div>
  </aside>`;
}

const FAVICON = new URL('../favicon.svg', import.meta.url).pathname;

function Shell() {
  const drawer = useSignal(false);
  const opener = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const close = () => void (drawer.value = false);
  useEffect(close, [path.value]);
  useKeys({
    ...Object.fromEntries(NAV.map(({ key, href }) => [`g ${key}`, () => navigate(href)])),
    '?': help,
    Escape: () => {
      if (drawer.value) opener.current?.focus();
      close();
    },
  });
  return html`
    <a class="button skip-link" href="#main">Skip to the content</a>
    <div class="shell">
      <header class="top">
        <button type="button" class="icon-button" ref=${opener} aria-label="Menu" aria-expanded=${drawer.value}
          onClick=${() => void (drawer.value = !drawer.value)}><${Icon} name="menu" /></button>
        <a class="brand" href="/admin/sessions"><img src=${FAVICON} alt="" width="24" height="24" />Hallpass</a>
      </header>
      <${Side} open=${drawer.value} close=${close} />
      ${drawer.value && html`<div class="scrim" onClick=${close} />`}
      <main id="main" tabindex="-1" inert=${drawer.value}><${Page} /></main>
    </div>
    <${Toasts} />`;
}

/** The page of the address; its code is fetched when it is first shown. */
function Page() {
  const shown = useSignal(/** @type {{ View: any, values: Record<string, string>, at: string } | null} */ (null));
  const failed = useSignal(false);
  const at = path.value;
  const page = PAGES.find(({ pattern }) => match(pattern, at));
  useEffect(() => {
    if (at === '/admin') return navigate('/admin/sessions', { replace: true });
    if (!page) return;
    let left = false;
    if (shown.peek()) focusNextHeading();
    page.load().then(
      module => left || (shown.value = { View: module.default, values: match(page.pattern, at) ?? {}, at }),
      // The files of another version are gone: Hallpass was updated under this page.
      () => left || (failed.value = true));
    return () => void (left = true);
  }, [at]);
  if (failed.value) {
    return html`<div class="notice warn"><strong>Hallpass was updated</strong><span>Load the page anew to go on.</span>
      <button type="button" class="button" onClick=${() => location.reload()}>Reload</button></div>`;
  }
  if (!page && at !== '/admin') {
    return html`<${Head} title="There is nothing here"><a href="/admin/sessions">Go to the sessions</a><//>`;
  }
  if (!shown.value || shown.value.at !== at) return html`<${Skeleton} lines=${8} />`;
  const { View, values } = shown.value;
  return html`<${View} key=${at} ...${values} />`;
}

/** For whoever is signed in and may not administer. */
const NotForYou = () => html`<main class="alone">
  <div class="card stack"><h1>This is for administrators</h1>
    <p>You are signed in as <${Said} class="strong">${called(me.value ?? {})}<//>, who may not administer this Hallpass.</p>
    <div class="row"><a class="button primary" href="/account">Your account</a>
      <button type="button" class="button" onClick=${signOut}>Sign out</button></div>
  </div></main>`;

const root = /** @type {HTMLElement} */ (document.getElementById('app'));
start();
// Whatever was not foreseen is said, not swallowed.
for (const event of ['error', 'unhandledrejection']) {
  addEventListener(event, () => toast('Something went wrong on this page. Reload it and try again.'));
}
askPasswordBy(async () => (await import('./ui/form.js')).askPassword());
try {
  await learnWho();
  render(me.value?.role === 'admin' ? html`<${Shell} />` : html`<${NotForYou} />`, root);
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  render(html`<main class="alone"><h1 class="visually-hidden">Hallpass</h1>
    <${Failure} refusal=${error} again=${() => location.reload()} /></main>`, root);
}
