import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { files, graph, gzipped, STATIC, text } from './files.mjs';

const SHELL = text('admin.html');
const links = [...SHELL.matchAll(/(?:href|src)="\/assets\/\{\{v\}\}\/([^"]+)"/g)].map(([, name]) => name);

test('the shell preloads exactly the modules that its entry imports', () => {
  const preloaded = [...SHELL.matchAll(/rel="modulepreload" href="\/assets\/\{\{v\}\}\/([^"]+)"/g)].map(([, name]) => name);
  assert.deepEqual(preloaded.toSorted(), [...graph('js/main.js')].toSorted());
  assert(graph('js/main.js').size > 10, 'the walk over imports found next to nothing');
});

test('the shell names only files that are there, and no page has an inline script or style', () => {
  for (const name of links) assert(fs.existsSync(path.join(STATIC, name)), name);
  const pages = files().filter(name => name.endsWith('.html'));
  assert(pages.length > 1);
  for (const name of pages) {
    assert.doesNotMatch(text(name), /<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)/i, name);
  }
});

test('the first view takes at most 40 kB and 20 requests', () => {
  const first = new Set(['admin.html', 'icons.svg', ...links, ...graph('js/pages/sessions.js')]);
  const bytes = [...first].reduce((sum, name) => sum + gzipped(name), 0);
  assert(first.size <= 20, `${first.size} requests: ${[...first].join(' ')}`);
  assert(bytes <= 40_000, `${bytes} bytes`);
});

test('all files together take at most 130 kB, and no page\'s own module more than 5 kB', () => {
  const sent = files().filter(name => !/^(lists|pages)\/|\.d\.ts$|\.md$/.test(name));
  const bytes = sent.reduce((sum, name) => sum + gzipped(name), 0);
  assert(bytes <= 130_000, `${bytes} bytes`);
  for (const name of files('js/pages')) assert(gzipped(name) <= 5000, `${name}: ${gzipped(name)} bytes`);
});

test('no script is longer than 500 lines', () => {
  for (const name of [...files('js'), ...files('css')]) {
    const lines = text(name).split('\n').length;
    assert(lines <= 500, `${name}: ${lines} lines`);
  }
});

test('every icon that is shown is in the sprite, and every icon of the sprite is shown', () => {
  const known = new Set([...text('icons.svg').matchAll(/<symbol id="([^"]+)"/g)].map(([, id]) => id));
  const source = files('js').map(text).join('\n');
  // Device kinds and the strategies' points name their icon in data.
  const named = new Set([...source.matchAll(/(?:icon|name)(?:=|: )['"]([a-z]+)['"]|icon: \w+ [^'\n]*'([a-z]+)' : '([a-z]+)'/g)]
    .flatMap(([, ...names]) => names.filter(Boolean)));
  const kinds = ['desktop', 'mobile', 'tablet', 'tool', 'unknown'];
  for (const kind of kinds) named.add(kind);
  const missing = [...source.matchAll(/<\$\{Icon\} name="([a-z]+)"/g)].map(([, name]) => name).filter(name => !known.has(name));
  assert.deepEqual(missing, []);
  assert.deepEqual([...known].filter(id => !named.has(id)), []);
});
