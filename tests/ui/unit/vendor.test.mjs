import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { files, text } from './files.mjs';

const PACKAGES = path.resolve(import.meta.dirname, '../node_modules');
const VENDORED = {
  'preact.js': 'preact/dist/preact.mjs',
  'hooks.js': 'preact/hooks/dist/hooks.mjs',
  'signals.js': '@preact/signals/dist/signals.mjs',
  'signals-core.js': '@preact/signals-core/dist/signals-core.mjs',
  'htm.js': 'htm/dist/htm.module.js',
};

for (const [name, published] of Object.entries(VENDORED)) {
  test(`${name} is what was published, with relative paths`, () => {
    const wanted = fs.readFileSync(path.join(PACKAGES, published), 'utf8')
      .replace(/(from ?)"preact\/hooks"/g, '$1"./hooks.js"')
      .replace(/(from ?)"preact"/g, '$1"./preact.js"')
      .replace(/(from ?)"@preact\/signals-core"/g, '$1"./signals-core.js"')
      .replace(/\/\/# sourceMappingURL=.*/, '');
    assert.equal(text(`vendor/${name}`), wanted);
  });
}

test('nothing else is vendored, and every package has its licence', () => {
  const scripts = files('vendor').filter(name => name.endsWith('.js')).map(name => path.basename(name));
  assert.deepEqual(scripts.toSorted(), Object.keys(VENDORED).toSorted());
  for (const name of ['preact', '@preact/signals', 'htm', 'lucide']) {
    assert(text('vendor/LICENSES.txt').includes(`==== ${name} (`), name);
  }
});
