// The snippets of the README by which an app verifies our tokens, run as they stand but for the port.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { python } from './verifiers.mjs';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

function snippet(language) {
  const after = README.slice(README.indexOf('### Verifying our JWTs'));
  const found = new RegExp('```' + language + '\n(.*?)```', 's').exec(after);
  if (!found) throw new Error(`the README has no ${language} snippet`);
  return found[1];
}

// Each is told the token, and says whose it is: reaching that line is accepting it.
const RUNS = {
  js: (code) => [process.execPath, ['--input-type=module', '-e',
    `const token = process.env.TOKEN;\n${code}\nconsole.log('sub', payload.sub);`]],
  python: (code) => [python, ['-c', `import os\ntoken = os.environ['TOKEN']\n${code}\nprint('sub', claims['sub'])`]],
};

/** Whether the README's snippet accepts the token; throws when it trips over something else than the token. */
export function accepts(language, origin, token) {
  const [program, options] = RUNS[language](snippet(language).replaceAll('http://localhost:8000', origin));
  const ended = spawnSync(program, options, { cwd: import.meta.dirname, env: { ...process.env, TOKEN: token }, encoding: 'utf8' });
  if (ended.status === 0 && ended.stdout.startsWith('sub ')) return true;
  if (/JWSSignatureVerificationFailed|InvalidSignatureError/.test(ended.stderr)) return false;
  throw new Error(`${language}: ${ended.error ?? ended.stderr}`);
}
