/** Small parts that every page is made of. */
import { byWhom, brief, full, reasonInWords, relative, short, STRATEGIES } from '../lib/fmt.js';
import { html, signal, useEffect, useRef } from '../lib/html.js';

/** @typedef {import('../lib/api.js').Refusal} Refusal */

const SPRITE = new URL('../../icons.svg', import.meta.url).pathname;

/** @param {{ name: string, label?: string }} props */
export const Icon = ({ name, label }) => html`
  <svg class="icon" role=${label ? 'img' : null} aria-label=${label} aria-hidden=${label ? null : 'true'}>
    <use href="${SPRITE}#${name}" />
  </svg>`;

/** What a person wrote: it keeps its own direction, stays on its line and is readable in full.
 * @param {{ children?: any, class?: string }} props */
export const Said = ({ children, class: name = '' }) => html`
  <bdi class="said ${name}" title=${typeof children === 'string' ? children : null}>${children}</bdi>`;

/** @param {{ kind?: string, children?: any, title?: string }} props */
export const Badge = ({ kind = '', children, title }) => html`
  <span class="badge ${kind}" title=${title}>${children}</span>`;

/** @param {{ strategy: string }} props */
export const StrategyBadge = ({ strategy }) => html`
  <${Badge} kind=${strategy}>${STRATEGIES[strategy] ?? strategy}<//>`;

const tick = signal(Date.now());
if (typeof document !== 'undefined') setInterval(() => void (tick.value = Date.now()), 15_000);

/** A time beside now, with the whole of it in its title.
 * @param {{ at: string, lead?: string }} props */
export function Time({ at, lead = '' }) {
  const then = Date.parse(at);
  // A reply is newer than the last tick: no time of the past may read as one of the future.
  const now = Math.max(tick.value, Math.min(Date.now(), then + 1));
  return html`<time datetime=${at} title=${full(then)}>${lead}${relative(then, now)}</time>`;
}

/** A time as a date.
 * @param {{ at: string }} props */
export const When = ({ at }) => html`<time datetime=${at} title=${full(Date.parse(at))}>${brief(Date.parse(at))}</time>`;

/** How a session ended, in words and by whom.
 * @param {{ session: any }} props */
export const Ended = ({ session }) => html`
  <span>${reasonInWords(session.ended_reason)} <bdi>${byWhom(session.ended_by)}</bdi></span>`;

/** Copies a text. On plain http there is no clipboard: then the text is selected, to be copied by hand.
 * @param {string} text @param {Element | null} [shown] the element that shows it */
async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    toast('Copied.');
  } catch {
    if (shown) getSelection()?.selectAllChildren(shown);
    toast('This browser copies only over HTTPS: the text is selected, press Ctrl+C.');
  }
}

/** An id: its ends, and a button that copies the whole.
 * @param {{ id: string, whole?: boolean, what?: string }} props */
export function Id({ id, whole = false, what = 'id' }) {
  const shown = useRef(null);
  return html`<span class="id">
    <code ref=${shown} title=${id}>${whole ? id : short(id)}</code>
    <button type="button" class="icon-button" aria-label="Copy ${what}" onClick=${() => copy(id, shown.current)}>
      <${Icon} name="copy" />
    </button>
  </span>`;
}

/** A block to copy: a secret that is shown once, or a command.
 * @param {{ text: string, what: string }} props */
export function Copyable({ text, what }) {
  const shown = useRef(null);
  return html`<div class="copyable">
    <pre tabindex="0" role="group" aria-label=${what}><code ref=${shown}>${text}</code></pre>
    <button type="button" class="button slim" onClick=${() => copy(text, shown.current)}>
      <${Icon} name="copy" />Copy <span class="visually-hidden">${what}</span>
    </button>
  </div>`;
}

let moved = false;

/** The next page's heading takes the focus: a page was entered by a link, not loaded. */
export const focusNextHeading = () => void (moved = true);

/** A page's head: heading, what the page is about, and what is done here.
 * @param {{ title: string, children?: any, back?: { href: string, label: string }, badges?: any, aside?: any }} props */
export function Head({ title, children, back, badges, aside }) {
  const heading = useRef(/** @type {HTMLHeadingElement | null} */ (null));
  useEffect(() => void (document.title = `${title} · Hallpass`), [title]);
  useEffect(() => {
    if (moved) heading.current?.focus();
    moved = false;
  }, []);
  return html`<header class="head">
    <div>
      ${back && html`<a class="back" href=${back.href}><${Icon} name="back" />${back.label}</a>`}
      <h1 ref=${heading} tabindex="-1"><${Said}>${title}<//>${badges}</h1>
      ${children && html`<p class="muted">${children}</p>`}
    </div>
    ${aside && html`<div class="head-aside">${aside}</div>`}
  </header>`;
}

/** Nothing to show, and what to do about it.
 * @param {{ icon: string, title: string, children?: any }} props */
export const Empty = ({ icon, title, children }) => html`
  <div class="empty"><${Icon} name=${icon} /><strong>${title}</strong>${children}</div>`;

/** What went wrong, with the id under which the server's log has it.
 * @param {{ refusal: Refusal, again?: () => void }} props */
export const Failure = ({ refusal, again }) => html`
  <div class="notice danger" role="alert">
    <strong>${refusal.title}</strong>
    ${refusal.message !== refusal.title && html`<span>${refusal.message}</span>`}
    ${refusal.retryAfter && html`<span>Try again in ${refusal.retryAfter} s.</span>`}
    ${refusal.requestId && html`<span class="small">Request <code>${refusal.requestId}</code></span>`}
    ${again && html`<button type="button" class="button slim" onClick=${again}>Try again</button>`}
  </div>`;

/** Lines of grey where text will be.
 * @param {{ lines?: number }} props */
export const Skeleton = ({ lines = 4 }) => html`
  <div class="card skeleton" aria-busy="true">
    ${Array.from({ length: lines }, () => html`<span />`)}</div>`;

/** Names with values.
 * @param {{ of: [string, any][] }} props */
export const Facts = ({ of }) => html`
  <dl class="facts">${of.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

const toasts = signal(/** @type {{ id: number, text: string }[]} */ ([]));
let lastToast = 0;

/** Says what was done, for eight seconds.
 * @param {string} text */
export function toast(text) {
  const id = ++lastToast;
  toasts.value = [...toasts.value.slice(-2), { id, text }];
  setTimeout(() => dropToast(id), 8000);
}

/** @param {number} id */
const dropToast = id => void (toasts.value = toasts.value.filter(kept => kept.id !== id));

export const Toasts = () => html`
  <div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(({ id, text }) => html`
      <div class="toast" key=${id}>
        <bdi>${text}</bdi>
        <button type="button" class="icon-button" aria-label="Dismiss" onClick=${() => dropToast(id)}>
          <${Icon} name="close" />
        </button>
      </div>`)}
  </div>`;

/** Whether single keys are shortcuts (WCAG 2.1.4 asks for a switch). */
export const shortcuts = signal(stored('hallpass-shortcuts') !== 'off');

/** @param {string} name */
export function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
export function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage is shut: it holds until the page is left.
  }
}

/** Whether a key press is meant for a field, a dialog or the browser.
 * @param {KeyboardEvent} event */
function isTaken(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  const target = /** @type {HTMLElement} */ (event.target);
  const field = target.closest?.('input, textarea, select, [contenteditable]');
  return (field && /** @type {HTMLInputElement} */ (field).type !== 'checkbox') || !!document.querySelector('dialog[open]');
}

let lastKey = { key: '', at: 0 };

/** Shortcuts while the calling part is shown: `{ j() {}, 'g s'() {} }`.
 * @param {Record<string, (event: KeyboardEvent) => void>} keys */
export function useKeys(keys) {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    /** @param {KeyboardEvent} event */
    const press = event => {
      if (!shortcuts.value || isTaken(event)) return;
      const before = event.timeStamp - lastKey.at < 1000 ? lastKey.key : '';
      const act = latest.current[`${before} ${event.key}`] ?? latest.current[event.key];
      queueMicrotask(() => void (lastKey = { key: event.key, at: event.timeStamp }));
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}
