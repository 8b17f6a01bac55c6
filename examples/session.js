// Strategy `session`: the browser holds a cookie that no script can read, and the page only the CSRF token.
import { call, showUser, wire } from './page.js';

const APP = 'example-session';
let csrfToken;

// With several apps' cookies in one browser, `app` says which is meant.
const withCookie = (method, path) => call(method, `${path}?app=${APP}`, {
  credentials: 'include',
  headers: method === 'GET' ? {} : { 'X-CSRF-Token': csrfToken },
});

async function signIn(login, password) {
  const { reply } = await call('POST', '/api/v1/auth/login', {
    credentials: 'include',
    json: { app: APP, login, password },
  });
  csrfToken = reply.csrf_token;
  showUser(reply.user);
}

async function whoAmI() {
  const { reply } = await withCookie('GET', '/api/v1/auth/session');
  csrfToken = reply.csrf_token;
  showUser(reply.user);
}

async function signOut() {
  const { ok } = await withCookie('POST', '/api/v1/auth/logout');
  if (ok) showUser();
}

wire({ signIn, whoAmI, signOut });
whoAmI(); // the cookie outlives the page, so a reload stays signed in
