// Strategy `refresh`: the refresh token lies in a cookie that no script can read, the short-lived access token in the
// page's memory. Whoever gets a 401 refreshes once and tries again.
import { call, showUser, wire } from './page.js';

const APP = 'example-refresh';
let accessToken;
let csrfToken;
let refreshing;

async function signIn(login, password) {
  const { reply } = await call('POST', '/api/v1/auth/login', {
    credentials: 'include',
    json: { app: APP, login, password, transport: 'cookie' },
  });
  accessToken = reply.access_token;
  csrfToken = reply.csrf_token;
  showUser(reply.user);
}

/** After a reload: the cookie says who it is and gets the CSRF token, with which a new access token is to be had. */
async function resume() {
  const { ok, reply } = await call('GET', `/api/v1/auth/session?app=${APP}`, { credentials: 'include' });
  if (!ok) return;
  csrfToken = reply.csrf_token;
  if (await refresh()) showUser(reply.user);
}

/** One refresh at a time in this page. Tabs need no lock between them: who come at once get the same successor. */
function refresh() {
  refreshing ??= rotate().finally(() => { refreshing = undefined; });
  return refreshing;
}

async function rotate() {
  const { ok, reply } = await call('POST', '/api/v1/auth/refresh', {
    credentials: 'include',
    headers: { 'X-CSRF-Token': csrfToken },
    json: { app: APP },
  });
  accessToken = reply.access_token;
  if (!ok) showUser(); // the session is over: sign in again
  return ok;
}

/** How this page calls any service that takes its access tokens. */
async function withToken(method, path) {
  const attempt = () => call(method, path, { headers: { Authorization: `Bearer ${accessToken}` } });
  const first = await attempt();
  return first.status === 401 && csrfToken && await refresh() ? attempt() : first;
}

async function whoAmI() {
  const { reply } = await withToken('GET', '/api/v1/auth/session');
  showUser(reply.user);
}

async function signOut() {
  const { ok } = await call('POST', `/api/v1/auth/logout?app=${APP}`, {
    credentials: 'include',
    headers: { 'X-CSRF-Token': csrfToken },
  });
  if (!ok) return;
  accessToken = undefined;
  csrfToken = undefined;
  showUser();
}

// As ten minutes do: the next call meets a 401, and comes back signed in.
function forget() {
  accessToken = 'expired';
}

wire({ signIn, whoAmI, signOut, refresh, forget });
resume();
