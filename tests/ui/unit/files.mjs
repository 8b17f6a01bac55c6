/** The files under static/, as these tests look at them. */
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

export const STATIC = path.resolve(import.meta.dirname, '../../../static');

/** @param {string} name below static/ */
export const text = name => fs.readFileSync(path.join(STATIC, name), 'utf8');

/** @param {string} name */
export const gzipped = name => gzipSync(fs.readFileSync(path.join(STATIC, name)), { level: 6 }).length;

/** All files below a folder of static/.
 * @param {string} [folder] */
export const files = (folder = '') =>
  fs.readdirSync(path.join(STATIC, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(STATIC, path.join(entry.parentPath, entry.name)));

/** The files that a module loads at once: itself, and whatever it imports, in turn.
 * @param {string} entry @param {Set<string>} [seen] */
export function graph(entry, seen = new Set()) {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  for (const [, name] of text(entry).matchAll(/\b(?:from|import) ?["'](\.[^"']+)["']/g)) {
    graph(path.join(path.dirname(entry), name), seen);
  }
  return seen;
}
