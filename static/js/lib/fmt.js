/** Values in words. Pure: the time comes in as a value. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "1 session", "1,204 sessions".
 * @param {number} n @param {string} one */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

/** A span of milliseconds, roughly: "11m", "3h", "2d".
 * @param {number} ms */
function span(ms) {
  if (ms < HOUR) return `${Math.max(1, Math.floor(ms / MINUTE))}m`;
  return ms < DAY ? `${Math.floor(ms / HOUR)}h` : `${Math.floor(ms / DAY)}d`;
}

/** A time beside now: "now", "11m ago", "in 2d", "tomorrow".
 * @param {number} then @param {number} now */
export function relative(then, now) {
  const ms = then - now;
  if (Math.abs(ms) < MINUTE) return ms > 0 ? 'in under 1m' : 'now';
  if (ms < 0) return `${span(-ms)} ago`;
  return ms >= DAY && ms < 2 * DAY ? 'tomorrow' : `in ${span(ms)}`;
}

/** A time in full, as the reader's language writes it.
 * @param {number} then */
export const full = then => new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' }).format(then);

/** A time without seconds.
 * @param {number} then */
export const brief = then => new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(then);

/** A lifetime: "10 min", "1 h 30 min", "7 days".
 * @param {number} minutes */
export function lifetime(minutes) {
  if (!Number.isFinite(minutes) || minutes <= 0) return '';
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), minutes % 60];
  const parts = [days && count(days, 'day'), hours && `${hours} h`, rest && `${rest} min`];
  return parts.filter(Boolean).join(' ');
}

/** An id with its middle left out.
 * @param {string} id */
export const short = id => (id.length > 16 ? `${id.slice(0, 8)}…${id.slice(-5)}` : id);

/** How somebody is called here.
 * @param {{ name?: string | null, login?: string | null }} user */
export const called = user => user.name || user.login || 'Deleted user';

/** What each strategy is called. */
export const STRATEGIES = /** @type {Record<string, string>} */ ({
  refresh: 'JWT + refresh', session: 'Cookie session', tracked: 'Tracked JWT', jwt: 'JWT',
});

const ENDED = /** @type {Record<string, string>} */ ({
  logout: 'Signed out',
  logout_others: 'Signed out from another device',
  logout_everywhere: 'Signed out everywhere',
  revoked: 'Revoked',
  refresh_reused: 'Refresh token used twice',
  idle_expired: 'Expired unused',
  expired: 'Expired',
  password_changed: 'Password changed',
  role_changed: 'Role changed',
  user_disabled: 'User disabled',
  user_deleted: 'User deleted',
  cut_off: 'Cut off',
  app_disabled: 'App disabled',
  app_deleted: 'App deleted',
  signed_in_again: 'Signed in again',
  invalidated: 'Everybody signed out',
});

/** A stable reason in words; what an administrator wrote stays as it is.
 * @param {string} reason */
export const reasonInWords = reason => ENDED[reason] ?? reason;

/** Who did it: "by ada", "by the command line", or nothing for the appliance itself.
 * @param {{ kind: string, login: string | null } | null} actor */
export function byWhom(actor) {
  if (actor?.kind === 'console') return 'by the command line';
  return actor?.kind === 'user' ? `by ${actor.login ?? 'a deleted user'}` : '';
}
