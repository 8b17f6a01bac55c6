// Strategy `tracked`: a long-lived access token that is bound to a session. Hallpass looks the session up at every
// check, so a token that still has hours to live ends with it.
import { call, showUser, wire } from './page.js';

const APP = 'example-tracked';
let accessToken; // in memory only, as in jwt.js

const withToken = (method, path) => call(method, path, {
  headers: accessToken ? { Authorization: `Bearer ${accessToken}` } : {},
});

async function signIn(login, password) {
  const { reply } = await call('POST', '/api/v1/auth/login', { json: { app: APP, login, password } });
  accessToken = reply.access_token;
  showUser(reply.user);
}

// When the session was ended elsewhere the reply says how: `session_ended` with an `ended_reason`.
async function whoAmI() {
  const { reply } = await withToken('GET', '/api/v1/auth/session');
  showUser(reply.user);
}

async function signOut() {
  await withToken('POST', '/api/v1/auth/logout');
  accessToken = undefined;
  showUser();
}

wire({ signIn, whoAmI, signOut });
