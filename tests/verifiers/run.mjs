// Verifiers that we did not write accept our tokens and refuse forged ones, each against a JWKS with all three kinds.

import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Appliance } from './appliance.mjs';
import { forgeries, read } from './forgeries.mjs';
import { accepts } from './readme.mjs';
import { VERIFIERS } from './verifiers.mjs';

const ALGORITHMS = ['ES256', 'EdDSA', 'RS256'];
const root = new URL('../../', import.meta.url).pathname;
const count = { passed: 0, failed: 0 };

/** Asks every verifier about the cases of the algorithms that it knows, and counts who judged as wanted. */
async function judge(title, cases) {
  for (const { name, algorithms, verify } of VERIFIERS) {
    const asked = cases.filter(({ algorithm }) => algorithms.includes(algorithm));
    const verdicts = await verify(asked);
    const wrong = asked.flatMap((wanted, index) => {
      const { accepted, broken, why } = verdicts[index];
      const found = broken ? `broke: ${broken}` : accepted ? 'accepted' : `refused (${why})`;
      return broken || accepted !== wanted.accept ? [`${wanted.algorithm}, ${wanted.name}: ${found}`] : [];
    });
    count.passed += asked.length - wrong.length;
    count.failed += wrong.length;
    console.log(`${wrong.length ? 'FAILED' : 'ok    '} ${name}: ${title} (${asked.length})`);
    wrong.forEach((line) => console.log(`         ${line}`));
  }
}

const appliance = await Appliance.start(resolve(root, process.env.HALLPASS_BIN ?? 'target/debug/hallpass'));
const jwks = `${appliance.origin}/.well-known/jwks.json`;
const tokenOf = async (app) => (await appliance.signIn(app)).access_token;
const makeCase = (name, algorithm, token, accept, changed = {}) => (
  { name, algorithm, token, accept, jwks, issuer: appliance.origin, audience: audienceOf(algorithm), ...changed });
const audienceOf = (algorithm) => `https://${algorithm.toLowerCase()}.example`;
const forAll = async (make) => (await Promise.all(ALGORITHMS.map(make))).flat();

// Each kind has an app, another app with another audience, and one whose tokens die in a minute.
for (const algorithm of ALGORITHMS) {
  const id = algorithm.toLowerCase();
  const audience = audienceOf(algorithm);
  await appliance.makeApp({ id, strategy: 'refresh', algorithm, audience });
  await appliance.makeApp({ id: `${id}-other`, strategy: 'tracked', algorithm });
  await appliance.makeApp({ id: `${id}-brief`, strategy: 'jwt', algorithm, audience, access_minutes: 1 });
}
const brief = await forAll(async (algorithm) => (
  makeCase('a token of one minute', algorithm, await tokenOf(`${algorithm.toLowerCase()}-brief`), true)));
const keys = await appliance.keys();
const kinds = keys.map(({ kty }) => kty).sort().join();
if (kinds !== 'EC,OKP,RSA') throw new Error(`the JWKS holds ${kinds}, not one key of each kind`);
await judge('a token of one minute counts at first', brief);

const good = await forAll(async (algorithm) => (
  makeCase('a good token', algorithm, await tokenOf(algorithm.toLowerCase()), true)));
await judge('good tokens are accepted', good);

await judge('forged tokens are refused', good.flatMap(({ algorithm, token }) => (
  forgeries(token, keys).map(([name, forged]) => makeCase(name, algorithm, forged, false)))));

for (const language of ['js', 'python']) {
  const [head, , signature] = appliance.admin.split('.');
  const forged = [head, good[0].token.split('.')[1], signature].join('.');
  const right = accepts(language, appliance.origin, appliance.admin) && !accepts(language, appliance.origin, forged);
  count[right ? 'passed' : 'failed'] += 1;
  console.log(`${right ? 'ok    ' : 'FAILED'} the README's snippet in ${language}`);
}

await judge('tokens for others and of others are refused', await forAll(async (algorithm) => [
  makeCase('another app\'s token', algorithm, await tokenOf(`${algorithm.toLowerCase()}-other`), false),
  makeCase('another issuer', algorithm, good.find((one) => one.algorithm === algorithm).token, false,
    { issuer: 'https://other.example' }),
]));

for (const algorithm of ALGORITHMS) await appliance.rotateKey(algorithm);
await appliance.signInAsAdmin(); // whose token would go with the old key
const newer = await forAll(async (algorithm) => (
  makeCase('a token of the new key', algorithm, await tokenOf(algorithm.toLowerCase()), true)));
if (newer.some(({ token }) => good.some((old) => read(old.token).header.kid === read(token).header.kid))) {
  throw new Error('the old key still signs after a rotation');
}
await judge('after a rotation the old key\'s tokens and the new key\'s are accepted', [...good, ...newer]);

const late = brief.map((one) => ({ ...one, name: 'an expired token', accept: false }));
const dead = Math.max(...late.map(({ token }) => read(token).claims.exp)) * 1000 + 1500;
await sleep(Math.max(0, dead - Date.now()));
await judge('expired tokens are refused', late);

for (const { token } of good) await appliance.retireKey(read(token).header.kid);
await judge('once the old key is retired only the new key\'s tokens are accepted', [
  ...good.map((one) => ({ ...one, name: 'a token of the retired key', accept: false })), ...newer]);

appliance.stop();
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed || !count.passed ? 1 : 0;
