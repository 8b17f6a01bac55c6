/** The address as a signal: pages by path, everything that a list shows in the query. */
import { computed, signal } from './lib/html.js';

const address = signal(new URL(location.href));

/** The path without a slash at its end. */
export const path = computed(() => address.value.pathname.replace(/\/+$/, ''));

/** The query as a record; absent is undefined. */
export const query = computed(() => /** @type {Record<string, string | undefined>} */ (
  Object.fromEntries(address.value.searchParams)));

/** The values of a pattern's `:names` in a path, or `null`.
 * @param {string} pattern @param {string} path */
export function match(pattern, path) {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return null;
  const values = /** @type {Record<string, string>} */ ({});
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith(':')) {
      try {
        values[part.slice(1)] = decodeURIComponent(given[i]);
      } catch {
        return null;
      }
    } else if (part !== given[i]) {
      return null;
    }
  }
  return values;
}

/** A path with a query of what is set. Empty values are left out, so that a link says no more than it must.
 * @param {string} path @param {Record<string, string | number | null | undefined>} values */
export function withQuery(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** Goes to another page of the admin UI.
 * @param {string} href @param {{ replace?: boolean }} [how] */
export function navigate(href, { replace = false } = {}) {
  const next = new URL(href, location.href);
  if (next.href === address.value.href) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', next);
  address.value = next;
}

/** Changes parts of the query and stays on the page.
 * @param {Record<string, string | undefined>} changes */
export const setQuery = changes =>
  navigate(withQuery(address.value.pathname, { ...query.value, ...changes }), { replace: true });

/** Whether a click on a link is ours to follow: a plain one, to a page of this UI.
 * @param {MouseEvent} event @param {HTMLAnchorElement | null} link */
export function isOurs(event, link) {
  if (!link || event.defaultPrevented || event.button !== 0) return false;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  if (link.target || link.hasAttribute('download') || link.origin !== location.origin) return false;
  return link.pathname === '/admin' || link.pathname.startsWith('/admin/');
}

/** Listens to the address bar and to links. */
export function start() {
  addEventListener('popstate', () => void (address.value = new URL(location.href)));
  addEventListener('click', event => {
    const link = /** @type {Element} */ (event.target).closest?.('a');
    if (link?.hash && link.pathname === location.pathname && link.search === location.search) return;
    if (!isOurs(event, /** @type {HTMLAnchorElement | null} */ (link))) return;
    event.preventDefault();
    navigate(/** @type {HTMLAnchorElement} */ (link).href);
  });
}
