/** Takes a picture of every page in light, dark and on a phone: `node tests/ui/shots.mjs DIRECTORY`. For eyes to judge. */
import fs from 'node:fs';
import path from 'node:path';
import { AGENTS, boot, enter, startBrowser, visitor } from './e2e/house.mjs';
import { seed, seedHostile } from './e2e/seed.mjs';

const [directory] = process.argv.slice(2);
if (!directory) {
  console.error('Say where to: node tests/ui/shots.mjs DIRECTORY');
  process.exit(2);
}
fs.mkdirSync(directory, { recursive: true });

/** @typedef {import('playwright-core').Page} Page */

const LOOKS = /** @type {const} */ ([
  { look: 'light', size: { width: 1280, height: 860 }, colorScheme: 'light' },
  { look: 'dark', size: { width: 1280, height: 860 }, colorScheme: 'dark' },
  { look: 'phone', size: { width: 390, height: 844 }, colorScheme: 'light' },
]);

/** @param {Page} page @param {string} name */
async function shoot(page, name) {
  for (const { look, size, colorScheme } of LOOKS) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.screenshot({ path: path.join(directory, `${name}-${look}.png`), fullPage: !(await page.$('dialog[open]')) });
  }
  await page.setViewportSize(LOOKS[0].size);
}

/** A page of the admin UI when its data is there.
 * @param {Page} page @param {string} to */
async function open(page, to) {
  await page.goto(to);
  await page.waitForSelector('h1');
  await page.waitForFunction(() => !document.querySelector('.skeleton, .skeleton-row'));
}

const house = await boot();
const admin = await seed(house.origin);
await seedHostile(admin);
const browser = await startBrowser();
const { page, faults } = await visitor(browser, house.origin, { userAgent: AGENTS.firefox });

for (const name of ['login', 'account']) {
  if (name === 'account') await enter(page, '/account');
  const reply = await page.goto(`/${name}`);
  if (reply?.ok()) await shoot(page, name);
}

await enter(page, '/admin/sessions');
await open(page, '/admin/sessions');
await shoot(page, 'sessions');
await open(page, '/admin/sessions?state=ended&app=shop');
await shoot(page, 'sessions-empty');
await open(page, '/admin/sessions');
await page.getByRole('checkbox', { name: /Grace/ }).check();
await page.getByRole('checkbox', { name: /Edsger/ }).check();
await shoot(page, 'sessions-chosen');
await page.getByRole('button', { name: 'Revoke…' }).click();
await page.waitForSelector('dialog[open]');
await shoot(page, 'sessions-revoke');

await page.getByRole('button', { name: 'Cancel' }).click();
const { items: users } = await admin.must('GET', '/admin/users?limit=50');
const { items: sessions } = await admin.must('GET', '/admin/sessions?user=ada');
await open(page, `/admin/sessions/${sessions[0].id}`);
await shoot(page, 'session');
await open(page, '/admin/users');
await shoot(page, 'users');
await page.getByRole('button', { name: 'Create user' }).click();
await shoot(page, 'user-create');
await open(page, `/admin/users/${users.find((/** @type {any} */ user) => user.login === 'ada').id}`);
await shoot(page, 'user');
await open(page, `/admin/users/${users.find((/** @type {any} */ user) => user.login === 'hostile-3').id}`);
await shoot(page, 'user-hostile');
await admin.must('POST', '/admin/blacklist', { sid: sessions[0].id, reason: 'Phone was lost' });
await admin.must('POST', '/admin/blacklist', { jti: crypto.randomUUID(), reason: 'Pasted into a public chat' });
await admin.must('POST', `/admin/users/${sessions[0].user.id}/cut-off`);
await open(page, '/admin/blacklist');
await shoot(page, 'blacklist');
await page.getByRole('button', { name: 'Add entry' }).click();
await shoot(page, 'blacklist-add');
await open(page, '/admin/apps');
await shoot(page, 'apps');
await page.getByRole('button', { name: 'Create app' }).click();
await shoot(page, 'app-create');
await open(page, '/admin/apps/shop');
await shoot(page, 'app');
await open(page, '/admin/nowhere');
await shoot(page, 'not-found');
await page.keyboard.press('?');
await page.waitForSelector('dialog[open]');
await shoot(page, 'shortcuts');
await page.context().clearCookies();
await enter(page, '/admin', { login: 'alan' });
await page.waitForSelector('h1');
await shoot(page, 'not-for-you');

const unclaimed = await boot({ claimed: false });
const guest = await visitor(browser, unclaimed.origin);
const reply = await guest.page.goto(unclaimed.setupLink());
if (reply?.ok()) await shoot(guest.page, 'setup');
await guest.page.getByText('Restore a backup instead').click();
await shoot(guest.page, 'setup-restore');
await guest.context.clearCookies();
if ((await guest.page.goto('/setup'))?.ok()) await shoot(guest.page, 'setup-code');
await guest.page.goto(unclaimed.setupLink());
await guest.page.getByText('Restore a backup instead').click();
const backup = await admin.must('POST', '/admin/backups', {});
const bytes = await fetch(`${house.origin}/api/v1/admin/backups/${backup.name}`, { headers: { authorization: `Bearer ${admin.token}` } });
const buffer = Buffer.from(await bytes.arrayBuffer());
for (const [name, content] of /** @type {[string, Buffer][]} */ ([['setup-not-restored', Buffer.from('no backup')], ['restored', buffer]])) {
  await guest.page.getByLabel('Backup', { exact: true }).setInputFiles({ name: backup.name, mimeType: 'application/octet-stream', buffer: content });
  await guest.page.getByRole('button', { name: 'Restore' }).click();
  await guest.page.waitForLoadState();
  await shoot(guest.page, name);
}

await browser.close();
for (const fault of faults) console.log(fault);
process.exit(0);
