// Strategy `jwt`: the page holds an access token, in memory and nowhere else: what a script can read from storage, any
// injected script can. A reload forgets it, and after 15 minutes one signs in again.
import { call, showUser, wire } from './page.js';

const APP = 'example-jwt';
let accessToken;

const withToken = (method, path) => call(method, path, {
  headers: accessToken ? { Authorization: `Bearer ${accessToken}` } : {},
});

async function signIn(login, password) {
  const { reply } = await call('POST', '/api/v1/auth/login', { json: { app: APP, login, password } });
  accessToken = reply.access_token;
  showUser(reply.user);
}

// Services of your own would verify the token by /.well-known/jwks.json and ask nobody.
async function whoAmI() {
  const { reply } = await withToken('GET', '/api/v1/auth/session');
  showUser(reply.user);
}

// Blacklists the token: from now on Hallpass refuses it. Who verifies by themselves may accept it until it expires.
async function signOut() {
  await withToken('POST', '/api/v1/auth/logout');
  accessToken = undefined;
  showUser();
}

wire({ signIn, whoAmI, signOut });
