// Tokens that nobody may accept, each made from a good one by what an attacker has: the token and the public keys.

import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const decode = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

/** A token's header, claims and three parts. */
export function read(token) {
  const parts = token.split('.');
  return { header: decode(parts[0]), claims: decode(parts[1]), parts };
}

const STRANGERS = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
  RS256: generateKeyPairSync('rsa', { modulusLength: 3072 }),
};

function signedByStranger(algorithm, header, claims) {
  const input = `${encode(header)}.${encode(claims)}`;
  const key = { key: STRANGERS[algorithm].privateKey, dsaEncoding: 'ieee-p1363' };
  return `${input}.${sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(input), key).toString('base64url')}`;
}

function signedBySecret(secret, header, claims) {
  const input = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/** What an attacker may take for a shared secret: the public key in each of its writings. */
function writingsOf(jwk) {
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const raw = Buffer.concat([jwk.x, jwk.y, jwk.n].filter(Boolean).map((part) => Buffer.from(part, 'base64url')));
  return {
    'its PEM': key.export({ type: 'spki', format: 'pem' }),
    'its PEM without the last line break': key.export({ type: 'spki', format: 'pem' }).trimEnd(),
    'its DER': key.export({ type: 'spki', format: 'der' }),
    'its raw bytes': raw,
    'its JWK': JSON.stringify(jwk),
    nothing: '',
  };
}

/** Every forgery of a good token, as [name, token]. */
export function forgeries(token, keys) {
  const { header, claims, parts } = read(token);
  const [head, body, signature] = parts;
  const own = keys.find((key) => key.kid === header.kid);
  const others = keys.filter((key) => key.kid !== header.kid);
  const raised = { ...claims, sub: '00000000-0000-7000-8000-000000000000' };
  const stranger = STRANGERS[header.alg].publicKey.export({ format: 'jwk' });
  const withHeader = (changed) => `${encode({ ...header, ...changed })}.${body}.${signature}`;
  return [
    ...['none', 'None', 'nOnE', ''].map((alg) => [`alg ${alg || 'empty'}`, `${encode({ ...header, alg })}.${body}.`]),
    ['alg none with the old signature', withHeader({ alg: 'none' })],
    ...Object.entries(writingsOf(own)).map(([name, secret]) => [
      `HS256 with the public key as the secret: ${name}`,
      signedBySecret(secret, header, raised),
    ]),
    ...['ES256', 'EdDSA', 'RS256', 'ES384', 'PS256'].filter((alg) => alg !== header.alg)
      .map((alg) => [`header says ${alg}`, withHeader({ alg })]),
    ['altered payload', `${head}.${encode(raised)}.${signature}`],
    ['later expiry', `${head}.${encode({ ...claims, exp: claims.exp + 86_400 })}.${signature}`],
    ...others.map((key) => [`kid of the ${key.kty} key`, withHeader({ kid: key.kid })]),
    ['unknown kid', withHeader({ kid: 'A'.repeat(43) })],
    ['no kid', withHeader({ kid: undefined })],
    ['kid that is a path', withHeader({ kid: '../../../../dev/null' })],
    ['foreign key of the same kind', signedByStranger(header.alg, header, raised)],
    ['foreign key, brought along as jwk', signedByStranger(header.alg, { ...header, jwk: stranger }, raised)],
    ['foreign key under its own kid', signedByStranger(header.alg, { ...header, kid: 'stranger' }, raised)],
    ['no signature', `${head}.${body}.`],
    ['signature of zeros', `${head}.${body}.${Buffer.alloc(Buffer.from(signature, 'base64url').length).toString('base64url')}`],
    ['half the signature', `${head}.${body}.${signature.slice(0, signature.length / 2)}`],
    ['another token\'s signature', `${head}.${encode({ ...claims, jti: 'other' })}.${signature}`],
    ['two parts', `${head}.${body}`],
    ['nothing', 'e30.e30.'],
  ];
}
