/** A running appliance, a browser that watches for everything that must not happen, and callers of the API. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const ROOT = path.resolve(import.meta.dirname, '../../..');
const BINARY = process.env.HALLPASS_BIN ?? path.join(ROOT, 'target/debug/hallpass');
const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const PASSWORD = 'sunlit-harbour-42';
export const AGENTS = {
  firefox: 'Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0',
  iphone: 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1',
  windows: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
  android: 'Mozilla/5.0 (Linux; Android 16; Pixel 11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36',
  ipad: 'Mozilla/5.0 (iPad; CPU OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1',
  curl: 'curl/8.14.1',
};

const endings = new Set(/** @type {(() => void)[]} */ ([]));

/** Ends every appliance that is still running. */
export const endAll = () => endings.forEach(end => end());
process.on('exit', endAll);
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => process.exit(1));
process.on('uncaughtException', error => {
  console.error(error);
  process.exit(1);
});

/** @returns {Promise<number>} */
export const freePort = () => new Promise((resolve, reject) => {
  const server = net.createServer().once('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = /** @type {net.AddressInfo} */ (server.address());
    server.close(() => resolve(port));
  });
});

/** Starts the appliance on a free port with a data directory of its own.
 * @param {{ claimed?: boolean, options?: Record<string, string> }} [how] `claimed`: the administrator "admin" is there
 *   from the start */
export async function boot({ claimed = true, options = {} } = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hallpass-ui-'));
  const port = await freePort();
  fs.writeFileSync(path.join(dir, 'password'), PASSWORD);
  const env = {
    PATH: process.env.PATH,
    HALLPASS_PORT: String(port),
    HALLPASS_DATA_DIR: path.join(dir, 'data'),
    // Callers from several networks, and hashing that does not slow a debug build down.
    HALLPASS_TRUSTED_PROXIES: '127.0.0.0/8,::1',
    HALLPASS_PASSWORD__ARGON2_MEMORY_KIB: '64',
    HALLPASS_PASSWORD__ARGON2_ITERATIONS: '1',
    HALLPASS_LOG__ACCESS: 'false',
    ...options,
    ...(claimed && { HALLPASS_ADMIN_EMAIL: 'admin@example.com', HALLPASS_ADMIN_PASSWORD_FILE: path.join(dir, 'password') }),
  };
  const child = spawn(BINARY, ['serve'], { env, cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => {
    endings.delete(end);
    child.kill('SIGKILL');
    fs.rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  };
  endings.add(end);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', text => void (said += text));
  let gone = /** @type {string | null} */ (null);
  child.once('error', error => void (gone = error.message));
  child.once('exit', code => void (gone = `exit code ${code}`));

  const origin = `http://localhost:${port}`;
  for (let tries = 0; ; tries++) {
    if (gone) throw new Error(`${BINARY}: ${gone}\n${said}`);
    const up = await fetch(`${origin}/healthz`).then(reply => reply.status < 500, () => false);
    if (up) break;
    assert(tries < 300, `the appliance does not answer:\n${said}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  return { origin, end, setupLink: () => said.match(/https?:\S+\/setup\?code=\S+/)?.[0] ?? '' };
}

/** Signs in by the API and answers a caller with that session.
 * @param {string} origin @param {{ login?: string, password?: string, app?: string, agent?: string, from?: string }} [who] */
export async function signIn(origin, { login = 'admin', password = PASSWORD, app = 'hallpass', agent = AGENTS.curl, from } = {}) {
  const headers = { 'content-type': 'application/json', 'user-agent': agent, ...(from && { 'x-forwarded-for': from }) };
  const body = JSON.stringify({ app, login, password, transport: 'body' });
  const reply = await fetch(`${origin}/api/v1/auth/login`, { method: 'POST', headers, body });
  assert.equal(reply.status, 200, await reply.clone().text());
  const granted = await reply.json();
  const token = granted.session_token ?? granted.access_token;
  /** @param {string} method @param {string} path @param {any} [body] */
  const call = async (method, path, body) => {
    const reply = await fetch(`${origin}/api/v1${path}`, {
      method,
      headers: { ...headers, authorization: `Bearer ${token}` },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const value = reply.status === 204 ? null : await reply.json();
    return { status: reply.status, value };
  };
  /** @param {string} method @param {string} path @param {any} [body] */
  const must = async (method, path, body) => {
    const { status, value } = await call(method, path, body);
    assert(status < 300, `${method} ${path}: ${status} ${JSON.stringify(value)}`);
    return value;
  };
  return { ...granted, token, call, must };
}

/** One browser for all suites, ended with the process. */
export async function startBrowser() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: false,
    args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  return browser;
}

/** A browser of its own (cookies, storage) with a page that is watched.
 * @param {import('playwright-core').Browser} browser @param {string} origin
 * @param {import('playwright-core').BrowserContextOptions & { also?: string[] }} [options] `also`: other origins that its
 *   pages may call */
export async function visitor(browser, origin, { also = [], ...options } = {}) {
  const context = await browser.newContext({
    baseURL: origin, viewport: { width: 1280, height: 860 }, colorScheme: 'light', locale: 'en-GB', timezoneId: 'UTC', ...options,
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const faults = watch(context, page, [origin, ...also]);
  return {
    context, page, faults,
    /** What must never have happened has not; ends the visit. */
    async leave() {
      await context.close();
      assert.deepEqual(faults, [], 'the browser complained');
    },
  };
}

/** @param {import('playwright-core').BrowserContext} context @param {import('playwright-core').Page} page @param {string[]} origins */
function watch(context, page, origins) {
  const faults = /** @type {string[]} */ ([]);
  page.on('dialog', dialog => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('pageerror', error => faults.push(`page error: ${error.stack ?? error}`));
  page.on('console', message => {
    // The browser reports every refused call as an error; what a refusal leads to, the suites themselves assert.
    const refused = /^Failed to load resource: the server responded with a status of 4\d\d/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !refused) faults.push(`console ${message.type()}: ${message.text()}`);
  });
  context.on('request', request => {
    if (!origins.includes(new URL(request.url()).origin)) faults.push(`foreign request: ${request.url()}`);
  });
  context.on('response', response => {
    if (response.status() >= 500) faults.push(`${response.status()}: ${response.url()}`);
  });
  // Violations of the policy also reach the console, but not all of a page that is being left.
  context.exposeBinding('reportViolation', (_, text) => void faults.push(`policy violation: ${text}`));
  context.addInitScript(() => {
    addEventListener('securitypolicyviolation', event =>
      /** @type {any} */ (window).reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  return faults;
}

/** Signs this browser in by the API and opens a page.
 * @param {import('playwright-core').Page} page @param {string} to @param {{ login?: string, password?: string }} [who] */
export async function enter(page, to, { login = 'admin', password = PASSWORD } = {}) {
  const reply = await page.request.post('/api/v1/auth/login', { data: { app: 'hallpass', login, password } });
  assert.equal(reply.status(), 200, await reply.text());
  await page.goto(to);
}

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Nothing that axe finds, as the page is now.
 * @param {import('playwright-core').Page} page @param {string} where */
export async function accessible(page, where) {
  // Evaluated, not added as a script: the page's policy would rightly block that.
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(`${AXE}; undefined`);
  const found = await page.evaluate(async rules => {
    // Colours are judged at rest. What lies folded away does not move on, and is never finished.
    const moving = document.getAnimations().filter(move => move.effect?.getComputedTiming().iterations !== Infinity);
    const atRest = Promise.all(moving.map(move => move.finished.catch(() => {})));
    await Promise.race([atRest, new Promise(resolve => setTimeout(resolve, 1000))]);
    const { violations } = await /** @type {any} */ (window).axe.run({ runOnly: rules });
    return violations.map((/** @type {any} */ v) => `${v.id}: ${v.help} (${v.nodes.map((/** @type {any} */ n) => n.html).join(' | ')})`);
  }, RULES);
  assert.deepEqual(found, [], `axe, ${where}`);
}

/** The page is whole in light and dark, on a phone, and at 320 pixels without a horizontal bar.
 * @param {import('playwright-core').Page} page @param {string} where */
export async function presentable(page, where) {
  const size = page.viewportSize() ?? { width: 1280, height: 860 };
  await accessible(page, `${where}, light`);
  await page.emulateMedia({ colorScheme: 'dark' });
  await accessible(page, `${where}, dark`);
  await page.setViewportSize({ width: 390, height: 844 });
  await accessible(page, `${where}, phone, dark`);
  await page.emulateMedia({ colorScheme: 'light' });
  await accessible(page, `${where}, phone`);
  await page.setViewportSize({ width: 320, height: 640 });
  const [wanted, given] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert(wanted <= given, `${where}: ${wanted} pixels wide on a screen of ${given}`);
  await page.setViewportSize(size);
}

/** An appliance for one suite, ended with it.
 * @param {Parameters<typeof boot>[0]} how @param {(house: Awaited<ReturnType<typeof boot>>) => Promise<void>} suite */
export async function inHouse(how, suite) {
  const house = await boot(how);
  try {
    await suite(house);
  } finally {
    house.end();
  }
}

/** Tests that build on one another: the first that fails ends the suite.
 * @param {import('node:test').TestContext} t */
export const steps = t => async (/** @type {string} */ name, /** @type {() => Promise<void>} */ run) => {
  let failed = false;
  await t.test(name, () => run().catch(error => {
    failed = true;
    throw error;
  }));
  assert(!failed, `not gone on with: ${name}`);
};

/** What the dialog on top of the page asks.
 * @param {import('playwright-core').Page} page */
export const question = page => page.locator('dialog[open]').last();

/** Waits until a toast says this.
 * @param {import('playwright-core').Page} page @param {string | RegExp} text */
export const said = (page, text) => page.locator('.toast').filter({ hasText: text }).first().waitFor();

/** Waits until the list has this many rows.
 * @param {import('playwright-core').Page} page @param {number} n */
export const rows = (page, n) => page.waitForFunction(
  n => !document.querySelector('.skeleton-row') && document.querySelectorAll('tbody tr[data-id]').length === n, n);

/** Where the focus is: the text or label of that element.
 * @param {import('playwright-core').Page} page */
export const focused = page => page.evaluate(() =>
  document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
