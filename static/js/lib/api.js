/** The API: credentials, refusals, and proving the password again, in one place for all pages. */
import { signal } from './html.js';

/** @typedef {{ id: string, login: string, email: string | null, name: string, role: string }} Me */
/** @typedef {{ field: string, code: string, message: string }} FieldError */

/** A refusal in the API's own words. */
export class Refusal extends Error {
  /** @param {number} status @param {any} problem an RFC 9457 problem */
  constructor(status, problem) {
    super(problem.detail || problem.title || 'The server gave no reason.');
    this.status = status;
    this.code = /** @type {string} */ (problem.code ?? '');
    this.title = /** @type {string} */ (problem.title ?? '');
    this.errors = /** @type {FieldError[]} */ (problem.errors ?? []);
    this.requestId = /** @type {string} */ (problem.request_id ?? '');
    this.retryAfter = /** @type {number | undefined} */ (problem.retry_after_seconds);
  }
}

/** Who is signed in; `null` until it is known. */
export const me = signal(/** @type {Me | null} */ (null));

let csrf = '';
let ask = /** @type {() => Promise<boolean>} */ (async () => false);
let asking = /** @type {Promise<boolean> | null} */ (null);

/** Says how a password is asked for; `ask` answers whether it was proven.
 * @param {() => Promise<boolean>} how */
export const askPasswordBy = how => void (ask = how);

/** @param {string} method @param {string} path @param {any} [body] @param {AbortSignal} [abort] */
async function send(method, path, body, abort) {
  const headers = /** @type {Record<string, string>} */ ({ accept: 'application/json' });
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET') headers['x-csrf-token'] = csrf;
  let reply;
  try {
    reply = await fetch(path, { method, headers, body: JSON.stringify(body), signal: abort ?? null });
  } catch (error) {
    if (abort?.aborted) throw error;
    const detail = method === 'GET'
      ? 'Check the connection, then try again.'
      : 'It may or may not have been done: reload the page to see.';
    throw new Refusal(0, { code: 'unreachable', title: 'The server does not answer', detail });
  }
  const value = reply.status === 204 ? null : await reply.json().catch(() => ({}));
  if (reply.ok) return value;
  throw new Refusal(reply.status, value);
}

/** Calls the API. Throws a [`Refusal`]; whoever is not signed in is sent to sign in.
 * @param {string} method @param {string} path below `/api/v1` @param {any} [body] @param {AbortSignal} [abort] */
export async function call(method, path, body, abort) {
  const address = `/api/v1${path}`;
  try {
    return await send(method, address, body, abort);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    if (refusal.status === 401 && refusal.code !== 'invalid_credentials') return toSignIn();
    if (refusal.code === 'reauth_required') {
      asking ??= ask().finally(() => void (asking = null));
      if (await asking) return send(method, address, body, abort);
      throw new Refusal(403, { title: 'Your password was not confirmed', detail: 'Nothing was changed.' });
    }
    // Another tab signed in anew: its token counts from now on.
    if (refusal.code === 'csrf_failed' && (await sameUserStill())) return send(method, address, body, abort);
    throw refusal;
  }
}

/** @param {string} path @param {AbortSignal} [abort] */
export const get = (path, abort) => call('GET', path, undefined, abort);

/** Learns who is signed in, and the session's CSRF token. */
export async function learnWho() {
  const who = await call('GET', '/auth/session?app=hallpass');
  csrf = who.csrf_token ?? '';
  me.value = who.user;
}

async function sameUserStill() {
  const before = me.value?.id;
  await learnWho();
  if (before === me.value?.id) return true;
  location.reload();
  return new Promise(() => {});
}

/** Proves the password again: the session goes on with a new cookie.
 * @param {string} password */
export async function reauthenticate(password) {
  const reply = await call('POST', '/auth/reauthenticate', { password });
  csrf = reply.csrf_token ?? csrf;
}

export async function signOut() {
  await call('POST', '/auth/logout', {});
  location.assign('/login');
}

/** Leaves this page; the promise never ends, so nothing flashes up meanwhile.
 * @returns {Promise<never>} */
function toSignIn() {
  location.assign(`/login?return_to=${encodeURIComponent(location.pathname + location.search)}`);
  return new Promise(() => {});
}

/** @typedef {{ id: string, name: string, strategy: string, access_minutes: number, [field: string]: any }} App */

let appsOnce = /** @type {Promise<App[]> | null} */ (null);

/** The apps, read once: filters and dialogs name them. */
export function apps() {
  appsOnce ??= get('/admin/apps').then(page => page.items);
  appsOnce.catch(() => void (appsOnce = null));
  return appsOnce;
}

/** After a change of an app. */
export const forgetApps = () => void (appsOnce = null);
