/** One session: what is known of it, and its end. */
import { get, Refusal } from '../lib/api.js';
import { called } from '../lib/fmt.js';
import { html, useEffect, useSignal } from '../lib/html.js';
import { withQuery } from '../router.js';
import { Badge, Copyable, Ended, Facts, Failure, Head, Id, Said, Skeleton, StrategyBadge, When } from '../ui/parts.js';
import { revoke } from './revoke.js';

/** @param {{ id: string }} props */
export default function Session({ id }) {
  const session = useSignal(/** @type {any} */ (null));
  const refusal = useSignal(/** @type {Refusal | null} */ (null));
  const load = () => get(`/admin/sessions/${encodeURIComponent(id)}`).then(
    found => void ([session.value, refusal.value] = [found, null]),
    error => void (refusal.value = error));
  useEffect(() => void load(), [id]);

  const back = { href: '/admin/sessions', label: 'Sessions' };
  const found = session.value;
  if (refusal.value) return html`<${Head} title="Session" back=${back} /><${Failure} refusal=${refusal.value} again=${load} />`;
  if (!found) return html`<${Head} title="Session" back=${back} /><${Skeleton} lines=${8} />`;
  const live = found.state === 'live';
  const time = (/** @type {string | null} */ at) => (at ? html`<${When} at=${at} />` : 'never');
  return html`
    <${Head} title=${found.device} back=${back}
      badges=${html`${found.current && html`<${Badge} kind="good">This device<//>`}
        <${Badge} kind=${live ? 'good' : ''}>${live ? 'Live' : 'Ended'}<//>`}
      aside=${live && !found.current && html`
        <button type="button" class="button danger-quiet" onClick=${() => revoke([found], load)}>Revoke…</button>`}>
      ${found.ended_at && html`<${Ended} session=${found} />, `}${found.user.login === null ? 'a deleted user'
        : html`<a href="/admin/users/${found.user.id}"><${Said}>${called(found.user)}<//></a>`}<//>
    <section class="card" aria-label="Details">
      <${Facts} of=${[
        ['Session', html`<${Id} id=${found.id} whole what="session id" />`],
        ['App', html`<a href="/admin/apps/${found.app}">${found.app}</a> <${StrategyBadge} strategy=${found.strategy} />`],
        ['Address', html`<code>${found.address}</code>`],
        ['Network', html`<a href=${withQuery('/admin/sessions', { network: found.network })}>
          <code>${found.network}</code></a>`],
        ['Signed in', time(found.opened_at)],
        ['Last active', time(found.last_seen_at)],
        ...(live
          ? [['Ends when unused', time(found.idle_expires_at)], ['Ends at the latest', time(found.expires_at)]]
          : [['Ended', time(found.ended_at)], ['How', html`<${Ended} session=${found} />`]]),
      ]} />
    </section>
    ${found.data && html`<section class="card stack" aria-label="Custom data">
      <h2>Custom data</h2><p class="muted">Written by the app; it goes when the session ends.</p>
      <${Copyable} text=${JSON.stringify(found.data, null, 2)} what="custom data" />
    </section>`}`;
}
