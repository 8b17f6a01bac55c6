// The verifiers, all asked alike: cases in, a verdict each out. A verifier that trips over a token has not refused it.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { expressjwt } from 'express-jwt';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import jwksRsa from 'jwks-rsa';

export const python = process.env.HALLPASS_TEST_PYTHON ?? 'python3';

async function withJose(cases) {
  const keys = createRemoteJWKSet(new URL(cases[0].jwks));
  return Promise.all(cases.map(async ({ token, algorithm, issuer, audience }) => {
    try {
      await jwtVerify(token, keys, { algorithms: [algorithm], issuer, audience, typ: 'at+jwt' });
      return { accepted: true };
    } catch (error) {
      const refused = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout);
      return refused ? { accepted: false, why: error.code } : { broken: String(error) };
    }
  }));
}

/** A service that answers 200 to whom express-jwt lets through. */
async function withExpressJwt(cases) {
  const guards = new Map();
  const guardFor = ({ jwks, algorithm, issuer, audience }) => {
    const name = JSON.stringify([algorithm, issuer, audience]);
    if (!guards.has(name)) {
      const secret = jwksRsa.expressJwtSecret({ jwksUri: jwks, cache: true, rateLimit: false });
      guards.set(name, expressjwt({ secret, algorithms: [algorithm], issuer, audience }));
    }
    return guards.get(name);
  };
  const service = createServer((request, response) => {
    const wanted = cases[Number(request.url.slice(1))];
    guardFor(wanted)(request, response, (error) => {
      response.writeHead(error ? (error.status ?? 500) : 200).end(error?.code ?? String(error ?? ''));
    });
  }).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const base = `http://127.0.0.1:${service.address().port}`;
  const verdicts = [];
  for (const [index, { token }] of cases.entries()) {
    const answer = await fetch(`${base}/${index}`, { headers: { Authorization: `Bearer ${token}` } });
    const why = await answer.text();
    verdicts.push({ 200: { accepted: true }, 401: { accepted: false, why } }[answer.status] ?? { broken: why });
  }
  service.close();
  return verdicts;
}

function withPyJwt(cases) {
  const script = fileURLToPath(new URL('verify.py', import.meta.url));
  return JSON.parse(execFileSync(python, [script], { input: JSON.stringify(cases), stdio: ['pipe', 'pipe', 'inherit'] }));
}

export const VERIFIERS = [
  { name: 'jose', algorithms: ['ES256', 'EdDSA', 'RS256'], verify: withJose },
  { name: 'PyJWT', algorithms: ['ES256', 'EdDSA', 'RS256'], verify: withPyJwt },
  { name: 'express-jwt with jwks-rsa', algorithms: ['ES256', 'RS256'], verify: withExpressJwt },
];
