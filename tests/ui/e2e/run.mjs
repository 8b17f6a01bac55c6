/** The browser suites: `node tests/ui/e2e/run.mjs [suite…]`. HALLPASS_BIN names the binary, CHROMIUM the browser. */
import test from 'node:test';
import { apps } from './apps.mjs';
import { blacklist } from './blacklist.mjs';
import { examples } from './examples.mjs';
import { frame } from './frame.mjs';
import { hosted } from './hosted.mjs';
import { endAll, startBrowser } from './house.mjs';
import { sessions } from './sessions.mjs';
import { stepUp } from './step-up.mjs';
import { users } from './users.mjs';

const wanted = process.argv.slice(2);
const browser = await startBrowser();
test.after(async () => {
  await browser.close();
  endAll();
});
const suites = [stepUp, frame, sessions, users, blacklist, apps, hosted, examples];
const chosen = suites.filter(suite => !wanted.length || wanted.includes(suite.name));
// Two at a time: one of them mostly waits for a minute to pass. Whatever hangs fails, and says where.
test('the pages', { concurrency: 2, timeout: 600_000 }, async t => {
  await Promise.all(chosen.map(suite => t.test(suite.name, t => suite(t, browser))));
});
