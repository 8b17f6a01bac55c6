/** Lists: read by pages, shown as a table (as cards on a phone), walked and chosen from by keyboard. */
import { get, Refusal } from '../lib/api.js';
import { batch, html, useEffect, useId, useRef, useSignal } from '../lib/html.js';
import { query, setQuery, withQuery } from '../router.js';
import { Failure, Icon, useKeys } from './parts.js';

/**
 * @typedef {{ id: string, [field: string]: any }} Row
 * @typedef {ReturnType<typeof useList>} List
 * @typedef {ReturnType<typeof useChoice>} Choice
 * @typedef {{ title: string, name: string, hidden?: boolean, cell: (row: any) => any }} Column
 */

/** A list of the API, page by page. It is read anew when its path or filter changes.
 * @param {string} path @param {Record<string, string | undefined>} filter */
export function useList(path, filter) {
  const items = useSignal(/** @type {Row[] | null} */ (null));
  const next = useSignal(/** @type {string | null} */ (null));
  const refusal = useSignal(/** @type {Refusal | null} */ (null));
  const loading = useSignal(true);
  const asked = useRef(/** @type {AbortController | null} */ (null));
  const address = withQuery(path, filter);

  /** @param {string | null} cursor */
  const read = async cursor => {
    asked.current?.abort();
    const { signal } = (asked.current = new AbortController());
    loading.value = true;
    try {
      const page = await get(cursor ? withQuery(path, { ...filter, cursor }) : address, signal);
      batch(() => {
        items.value = cursor ? [...(items.value ?? []), ...page.items] : page.items;
        next.value = page.next;
        refusal.value = null;
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refusal)) throw error;
      refusal.value = error;
    }
    loading.value = false;
  };
  useEffect(() => {
    items.value = null;
    read(null);
    return () => asked.current?.abort();
  }, [address]);
  return { items, next, refusal, loading, reload: () => read(null), more: () => read(next.value) };
}

/** What is chosen of a list.
 * @param {List} list @param {(row: any) => boolean} may whether a row can be chosen */
export function useChoice(list, may) {
  const rows = useSignal(/** @type {Map<string, any>} */ (new Map()));
  const all = useSignal(false);
  const last = useRef('');
  const shown = () => (list.items.value ?? []).filter(may);
  // What is no longer in the list is no longer chosen.
  useEffect(() => list.items.subscribe(items => {
    const kept = (items ?? []).filter(row => may(row) && rows.peek().has(row.id));
    if (kept.length !== rows.peek().size) rows.value = new Map(kept.map(row => [row.id, row]));
  }), []);

  /** @param {string} id @param {boolean} [span] everything from the row before it */
  const toggle = (id, span = false) => {
    const ids = shown().map(row => row.id);
    const [from, to] = [ids.indexOf(span ? last.current : id), ids.indexOf(id)].sort((a, b) => a - b);
    if (to < 0) return;
    const on = !rows.value.has(id);
    const changed = new Map(rows.value);
    for (const row of shown().slice(Math.max(from, 0), to + 1)) {
      if (on) changed.set(row.id, row);
      else changed.delete(row.id);
    }
    last.current = id;
    batch(() => void ([rows.value, all.value] = [changed, false]));
  };
  const isWhole = () => shown().length > 0 && shown().every(row => rows.value.has(row.id));
  const toggleWhole = () => batch(() => {
    rows.value = isWhole() ? new Map() : new Map(shown().map(row => [row.id, row]));
    all.value = false;
  });
  const clear = () => batch(() => void ([rows.value, all.value] = [new Map(), false]));
  return { rows, all, may, toggle, toggleWhole, isWhole, clear };
}

/** The rows, with what there is to choose and to do.
 * @param {{ list: List, columns: Column[], label: string, choice?: Choice, name: (row: any) => string, empty: any,
 *   act?: (rows: any[]) => void, open?: (row: any) => void }} props `name`: what a row is called */
export function Table({ list, columns, label, choice, name, empty, act, open }) {
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
  const { items, refusal, loading, next } = list;
  const rows = items.value ?? [];

  // A row that goes takes the focus along: it goes on from the page's heading, not from the top of the document.
  const had = useRef(false);
  useEffect(() => {
    if (had.current && items.value && document.activeElement === document.body) document.querySelector('h1')?.focus();
    had.current = items.value !== null;
  }, [items.value]);

  const here = () => /** @type {HTMLElement | null | undefined} */ (
    document.activeElement?.closest('tr') ?? null);
  const row = () => (body.current?.contains(here() ?? null) ? rows.find(row => row.id === here()?.dataset.id) : undefined);
  /** @param {number} step */
  const walk = step => {
    const all = [...(body.current?.querySelectorAll('tr[data-id]') ?? [])];
    const at = all.indexOf(/** @type {Element} */ (here()));
    const to = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    /** @type {HTMLElement | undefined} */ (all[to])?.focus();
  };
  /** @param {boolean} span */
  const mark = span => {
    const current = row();
    if (current && choice?.may(current)) choice.toggle(current.id, span);
  };
  useKeys({
    j: () => walk(1),
    k: () => walk(-1),
    x: () => mark(false),
    X: () => mark(true),
    e: () => void (row() && open?.(row())),
    '#': () => {
      const chosen = choice?.rows.value.size ? [...choice.rows.value.values()] : [row()].filter(one => one && choice?.may(one));
      if (chosen.length) act?.(chosen);
    },
  });

  if (refusal.value && !items.value) return html`<${Failure} refusal=${refusal.value} again=${list.reload} />`;
  const cells = columns.length + (choice ? 1 : 0);
  return html`
    ${refusal.value && html`<${Failure} refusal=${refusal.value} again=${list.reload} />`}
    <div class="table-frame">
      <table role="table" aria-label=${label} aria-busy=${loading}>
        <thead role="rowgroup"><tr role="row">
          ${choice && html`<th role="columnheader" class="choose"><${Box} label="Select all shown" checked=${choice.isWhole()}
            some=${choice.rows.value.size > 0 && !choice.isWhole()} disabled=${!rows.some(choice.may)}
            toggle=${choice.toggleWhole} /></th>`}
          ${columns.map(column => html`<th role="columnheader" scope="col" class="col-${column.name}">
            ${column.hidden ? html`<span class="visually-hidden">${column.title}</span>` : column.title}</th>`)}
        </tr></thead>
        <tbody role="rowgroup" ref=${body}>
          ${!items.value && Array.from({ length: 8 }, (_, i) => html`
            <tr role="row" class="skeleton-row" key=${`loading-${i}`}><td role="cell" colspan=${cells}><span /></td></tr>`)}
          ${rows.map(row => html`
            <tr role="row" key=${row.id} data-id=${row.id} tabindex="-1"
              class=${choice?.rows.value.has(row.id) ? 'chosen' : ''}>
              ${choice && html`<td role="cell" class="choose">
                <${Box} label="Select ${name(row)}" checked=${choice.rows.value.has(row.id)} disabled=${!choice.may(row)}
                  toggle=${(/** @type {boolean} */ span) => choice.toggle(row.id, span)} /></td>`}
              ${columns.map(column => html`
                <td role="cell" class="col-${column.name}" data-title=${column.title}>${column.cell(row)}</td>`)}
            </tr>`)}
          ${items.value && rows.length === 0 && html`
            <tr role="row" key="empty" class="empty-row"><td role="cell" colspan=${cells}>${empty}</td></tr>`}
        </tbody>
      </table>
    </div>
    ${next.value && items.value && html`<div class="more">
      ${rows.length === 0 && html`<p class="muted">Nothing found so far, but there is more to look through.</p>`}
      <button type="button" class="button" disabled=${loading} onClick=${list.more}>
        <${Icon} name="more" />${rows.length ? 'Show more' : 'Search further'}
      </button></div>`}`;
}

/** A check box in a label that is large enough to hit.
 * @param {{ label: string, checked: boolean, some?: boolean, disabled?: boolean, toggle: (span: boolean) => void }} props */
function Box({ label, checked, some = false, disabled, toggle }) {
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    if (box.current) box.current.indeterminate = some;
  }, [some]);
  return html`<label class="box">
    <input type="checkbox" ref=${box} aria-label=${label} checked=${checked} disabled=${disabled}
      onClick=${(/** @type {MouseEvent} */ event) => toggle(event.shiftKey)} />
  </label>`;
}

/**
 * @typedef {{ name: string, label: string, kind: 'search' | 'text' | 'select', options?: [string, string][],
 *   suggest?: (text: string) => Promise<string[]> }} Filter
 */

/** Filters that live in the address: a filtered list can be bookmarked and sent.
 * @param {{ filters: Filter[], label: string }} props */
export function FilterBar({ filters, label }) {
  const bar = useRef(/** @type {HTMLElement | null} */ (null));
  useKeys({ '/': () => /** @type {HTMLElement | null | undefined} */ (bar.current?.querySelector('input'))?.focus() });
  return html`<search ref=${bar} class="filters" aria-label=${label}>
    ${filters.map(filter => html`<${FilterField} key=${filter.name} filter=${filter} />`)}
  </search>`;
}

/** @param {{ filter: Filter }} props */
function FilterField({ filter }) {
  const { name, label, kind, options = [], suggest } = filter;
  const value = query.value[name] ?? '';
  const id = useId();
  const timer = useRef(0);
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const suggested = useSignal(/** @type {string[]} */ ([]));
  /** @param {string} text */
  const apply = text => {
    clearTimeout(timer.current);
    setQuery({ [name]: text.trim() });
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  // The address may change without this field ("Clear filters", back); what is being typed is left alone.
  useEffect(() => {
    if (input.current && input.current !== document.activeElement) input.current.value = value;
  }, [value]);
  if (kind === 'select') {
    return html`<select class="input" aria-label=${label} value=${value}
      onChange=${(/** @type {any} */ event) => apply(event.target.value)}>
      ${options.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
    </select>`;
  }
  /** @param {any} event */
  const type = event => {
    const text = event.target.value;
    clearTimeout(timer.current);
    timer.current = Number(setTimeout(async () => {
      apply(text);
      suggested.value = suggest && text.trim() ? await suggest(text.trim()).catch(() => []) : [];
    }, 300));
  };
  return html`<div class="filter ${kind}">
    ${kind === 'search' && html`<${Icon} name="search" />`}
    <input class="input" type="search" aria-label=${label} placeholder=${label} ref=${input}
      list=${suggest ? id : null} autocomplete="off" spellcheck=${false} maxlength="320" onInput=${type}
      onKeyDown=${(/** @type {any} */ event) => event.key === 'Enter' && apply(event.target.value)} />
    ${kind === 'search' && html`<kbd aria-hidden="true">/</kbd>`}
    ${suggest && html`<datalist id=${id}>${suggested.value.map(text => html`<option value=${text} />`)}</datalist>`}
  </div>`;
}

/** What to do with the chosen rows, over the foot of the page.
 * @param {{ choice: Choice, more: boolean, action: string, act: () => void }} props `more`: the list goes on */
export function BulkBar({ choice, more, action, act }) {
  const { rows, all } = choice;
  if (!rows.value.size) return null;
  return html`<div class="bulk" role="region" aria-label="Selection">
    <strong role="status">${all.value ? 'All matching' : rows.value.size.toLocaleString('en')} selected</strong>
    ${more && choice.isWhole() && !all.value && html`
      <button type="button" class="button quiet" onClick=${() => void (all.value = true)}>Select all matching</button>`}
    <button type="button" class="button danger" onClick=${act}>${action}</button>
    <button type="button" class="button quiet" onClick=${choice.clear}>Clear</button>
  </div>`;
}
