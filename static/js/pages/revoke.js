/** Ending sessions: what it will truly do, asked before it is done. */
import { apps, call, get } from '../lib/api.js';
import { called, count, lifetime } from '../lib/fmt.js';
import { html } from '../lib/html.js';
import { withQuery } from '../router.js';
import { ask } from '../ui/form.js';
import { Said, toast } from '../ui/parts.js';

/** Sessions counted for a question, at most. */
const COUNTED_MAX = 1000;

/** What the end of sessions of these strategies means, in truth.
 * @param {Set<string>} strategies @param {import('../lib/api.js').App[]} known @param {Set<string>} [of] app ids */
export function consequences(strategies, known, of) {
  const bearing = known.filter(app => app.strategy !== 'session' && (!of || of.has(app.id)));
  const longest = Math.max(0, ...bearing.map(app => app.access_minutes));
  const points = [];
  if (strategies.has('session')) {
    points.push({ icon: 'check', text: 'Cookie sessions are refused from their next request on.' });
  }
  if (strategies.has('refresh')) points.push({ icon: 'check', text: 'Refresh tokens stop working at once.' });
  if (['refresh', 'tracked', 'jwt'].some(strategy => strategies.has(strategy)) && longest) {
    points.push({ icon: 'check', text: 'Access tokens already handed out are blacklisted here at once.' });
    points.push({ icon: 'clock', text: 'Services that verify tokens by themselves, without asking Hallpass or knowing '
      + `its blacklist, accept them until they expire: up to ${lifetime(longest)}.` });
  }
  return points;
}

/** Only what bears tokens has an entry in the blacklist that a reason could stand in.
 * @param {any[]} sessions */
const reasonOf = sessions => ({
  name: 'reason', label: 'Reason', hint: 'Optional. It stands in the blacklist.', maxlength: 200,
  unless: sessions.every(session => session.strategy === 'session'),
});

/** Asks, then ends these sessions.
 * @param {any[]} sessions @param {() => void} done */
export async function revoke(sessions, done) {
  const people = new Set(sessions.map(session => session.user.id)).size;
  const [one] = sessions;
  const title = sessions.length === 1
    ? html`Revoke the session of <${Said}>${called(one.user)}<//> on ${one.device}?`
    : `Revoke ${count(sessions.length, 'session')} of ${count(people, 'person', 'people')}?`;
  const answer = await ask({
    title,
    points: consequences(new Set(sessions.map(session => session.strategy)), await apps(),
      new Set(sessions.map(session => session.app))),
    fields: [reasonOf(sessions)],
    danger: true,
    action: `Revoke ${sessions.length === 1 ? 'session' : count(sessions.length, 'session')}`,
    run: ({ reason }) => call('POST', '/admin/sessions/revoke', { ids: sessions.map(session => session.id), reason }),
  });
  if (!answer) return;
  report(answer);
  done();
}

/** Asks, then ends all live sessions that match, but one's own.
 * @param {Record<string, string | undefined>} filter @param {() => void} done */
export async function revokeMatching(filter, done) {
  const found = [];
  let cursor = null;
  do {
    const page = await get(withQuery('/admin/sessions', { ...filter, limit: 200, cursor }));
    found.push(...page.items.filter((/** @type {any} */ session) => !session.current));
    cursor = page.next;
  } while (cursor && found.length < COUNTED_MAX);
  const many = cursor ? `more than ${found.length.toLocaleString('en')} sessions` : count(found.length, 'session');
  const people = new Set(found.map(session => session.user.id)).size;
  const said = Object.entries(filter).filter(([, value]) => value);
  const answer = await ask({
    title: cursor ? `Revoke ${many}?` : `Revoke ${many} of ${count(people, 'person', 'people')}?`,
    lead: said.length
      ? html`All live sessions with ${said.map(([name, value], i) => html`${i ? ', ' : ''}${name} <bdi>“${value}”</bdi>`)},
          but not your own. Also those that you do not see, and new ones that match in this moment.`
      : 'All live sessions of all people, but not your own. Everyone must sign in again.',
    points: consequences(new Set(found.map(session => session.strategy)), await apps(),
      new Set(found.map(session => session.app))),
    fields: [reasonOf(found)],
    typed: said.length ? undefined : 'revoke all',
    danger: true,
    action: `Revoke ${many}`,
    run: ({ reason }) => call('POST', '/admin/sessions/revoke', { filter, reason }),
  });
  if (!answer) return;
  report(answer);
  done();
}

/** @param {{ ended: number, skipped: number }} answer */
const report = ({ ended, skipped }) =>
  toast(`${count(ended, 'session')} revoked.${skipped ? ` ${skipped} had ended before or are your own.` : ''}`);
