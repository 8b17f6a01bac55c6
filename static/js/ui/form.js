/** Forms; and dialogs, which are forms that ask before something is done. */
import { Refusal, reauthenticate } from '../lib/api.js';
import { lifetime } from '../lib/fmt.js';
import { html, render, signal, useEffect, useId, useRef, useSignal } from '../lib/html.js';
import { Failure, Icon } from './parts.js';

/**
 * @typedef {{ value: string, label: string, text?: string }} Option
 * @typedef {{ name: string, label: string, type?: string, hint?: string, value?: any, options?: Option[],
 *   unless?: boolean, [attribute: string]: any }} FieldSpec `unless`: it is left out
 * @typedef {Record<string, any>} Values
 * @typedef {{ icon?: string, text: any }} Point
 */

/** The values of a form, each as the API wants it.
 * @param {HTMLFormElement} form @param {FieldSpec[]} fields @returns {Values} */
export function read(form, fields) {
  const data = new FormData(form);
  const values = /** @type {Values} */ ({});
  for (const { name, type } of fields) {
    const text = String(data.get(name) ?? '');
    if (type === 'check') values[name] = data.has(name);
    else if (type === 'minutes') values[name] = text === '' ? undefined : Number(text);
    else if (type === 'lines') values[name] = text.split(/[\n,]/).map(line => line.trim()).filter(Boolean);
    else values[name] = type === 'password' ? text : text.trim();
  }
  return values;
}

/** One field with its label, hint and what is wrong with it.
 * @param {{ field: FieldSpec, errors: import('../lib/api.js').FieldError[], now: Values }} props */
export function Field({ field, errors, now }) {
  const { name, label, hint, type = 'text', value, options = [], unless: _, ...rest } = field;
  const id = useId();
  const wrong = errors.filter(error => error.field === name).map(error => error.message).join(' ');
  const said = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(' ') || null;
  const shared = { id, name, 'aria-describedby': said, 'aria-invalid': wrong ? 'true' : null, ...rest };
  const below = html`
    ${hint && html`<span class="hint" id="${id}-hint">${hint}</span>`}
    ${wrong && html`<span class="error" id="${id}-wrong">${wrong}</span>`}`;
  if (type === 'check') {
    return html`<div class="field">
      <label class="check"><input ...${shared} type="checkbox" defaultChecked=${value} />${label}</label>${below}
    </div>`;
  }
  if (type === 'choice') {
    return html`<fieldset class="field" aria-describedby=${said}>
      <legend>${label}</legend>
      <div class="choices">${options.map(option => html`
        <label class="choice">
          <input type="radio" name=${name} value=${option.value} defaultChecked=${option.value === value} />
          <span><strong>${option.label}</strong>${option.text && html`<span class="hint">${option.text}</span>`}</span>
        </label>`)}
      </div>${below}
    </fieldset>`;
  }
  const entry = () => {
    if (type === 'select') {
      return html`<select ...${shared}>${options.map(option => html`
        <option value=${option.value} selected=${option.value === value}>${option.label}</option>`)}</select>`;
    }
    if (type === 'lines' || type === 'area') {
      const text = Array.isArray(value) ? value.join('\n') : value;
      return html`<textarea rows="3" spellcheck=${false} ...${shared} defaultValue=${text ?? ''} />`;
    }
    if (type === 'minutes') {
      const minutes = now[name] ?? value;
      const inWords = minutes >= 60 ? lifetime(minutes) : '';
      return html`<div class="with-unit">
        <input class="input" type="number" min="1" step="1" inputmode="numeric" ...${shared} defaultValue=${value ?? ''} />
        <span class="muted">min${inWords && ` = ${inWords}`}</span>
      </div>`;
    }
    return html`<input type=${type} autocomplete="off" ...${shared} defaultValue=${value ?? ''} />`;
  };
  return html`<div class="field"><label for=${id}>${label}</label>${entry()}${below}</div>`;
}

/** A form's state: what it holds, whether it is being sent, what was refused.
 * @param {FieldSpec[] | ((now: Values) => FieldSpec[])} fields @param {(values: Values) => Promise<void>} run */
export function useForm(fields, run) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [now, busy, refusal] = [useSignal(/** @type {Values} */ ({})), useSignal(false),
    useSignal(/** @type {Refusal | null} */ (null))];
  const shown = (typeof fields === 'function' ? fields(now.value) : fields).filter(field => !field.unless);
  const errors = refusal.value?.errors ?? [];
  const other = refusal.value && !errors.some(error => shown.some(field => field.name === error.field));

  /** @param {Event} event */
  const submit = async event => {
    event.preventDefault();
    if (busy.value || !form.current) return;
    [busy.value, refusal.value] = [true, null];
    try {
      await run(read(form.current, shown));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusal.value = error;
      requestAnimationFrame(() => /** @type {HTMLElement | null} */ (
        form.current?.querySelector('[aria-invalid="true"]'))?.focus());
    } finally {
      busy.value = false;
    }
  };
  const look = () => void (now.value = form.current ? read(form.current, shown) : {});
  useEffect(look, []);
  return {
    busy, now, refusal,
    attributes: { ref: form, onSubmit: submit, onInput: look, noValidate: true },
    failure: other && refusal.value ? html`<${Failure} refusal=${refusal.value} />` : null,
    fields: shown.map(field => html`<${Field} key=${field.name} field=${field} errors=${errors} now=${now.value} />`),
  };
}

/**
 * What is asked. `points` say what will truly happen; `typed` must be typed first; `run` does it, and what it throws
 * is shown in the dialog.
 * @typedef {{ title: any, lead?: any, points?: Point[] | ((now: Values) => Point[]),
 *   fields?: FieldSpec[] | ((now: Values) => FieldSpec[]), typed?: string, action?: string, danger?: boolean,
 *   cancel?: string, wide?: boolean, run?: (values: Values) => Promise<any> }} Question
 */

const open = signal(/** @type {{ id: number, question: Question, close: (answer: any) => void }[]} */ ([]));
let lastId = 0;
let host = /** @type {HTMLElement | null} */ (null);

/** Asks, and does it when confirmed. Answers what `run` answered (or true); undefined when cancelled.
 * @param {Question} question @returns {Promise<any>} */
export function ask(question) {
  return new Promise(resolve => {
    const id = ++lastId;
    /** @param {any} answer */
    const close = answer => {
      open.value = open.value.filter(dialog => dialog.id !== id);
      resolve(answer);
    };
    open.value = [...open.value, { id, question, close }];
    if (host) return;
    host = document.body.appendChild(document.createElement('div'));
    render(html`<${Dialogs} />`, host);
  });
}

/** All open dialogs; the last is on top. */
const Dialogs = () => open.value.map(({ id, question, close }) => html`
  <${Dialog} key=${id} question=${question} close=${close} />`);

/** @param {{ question: Question, close: (answer: any) => void }} props */
function Dialog({ question, close }) {
  const { title, lead, points = [], fields = [], typed, action, danger, cancel = 'Cancel', wide } = question;
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const stay = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const match = useSignal('');
  const id = useId();
  const form = useForm(fields, async values => {
    const answer = await question.run?.(values);
    // First closed, then taken away: closing gives the focus back to where it came from.
    dialog.current?.close();
    close(answer ?? true);
  });
  const leave = () => {
    if (form.busy.value) return;
    dialog.current?.close();
    close(undefined);
  };
  useEffect(() => {
    dialog.current?.showModal();
    const first = danger ? null : dialog.current?.querySelector('.dialog-fields :is(input, select, textarea)');
    /** @type {HTMLElement | null} */ (first ?? stay.current)?.focus();
  }, []);
  const told = typeof points === 'function' ? points(form.now.value) : points;
  return html`
    <dialog ref=${dialog} class=${wide ? 'wide' : ''} aria-labelledby=${id}
      onCancel=${(/** @type {Event} */ event) => { event.preventDefault(); leave(); }}
      onMouseDown=${(/** @type {Event} */ event) => { if (event.target === dialog.current) leave(); }}>
      <form ...${form.attributes}>
        <h2 id=${id}>${title}</h2>
        ${lead && html`<div class="lead">${lead}</div>`}
        ${told.length > 0 && html`<ul class="points">${told.map(point => html`
          <li><${Icon} name=${point.icon ?? 'check'} /><span>${point.text}</span></li>`)}</ul>`}
        ${form.failure}
        ${form.fields.length > 0 && html`<div class="dialog-fields">${form.fields}</div>`}
        ${typed && html`<div class="field">
          <label for="${id}-typed">Type <bdi class="typed">${typed}</bdi> to confirm</label>
          <input id="${id}-typed" autocomplete="off" spellcheck=${false}
            onInput=${(/** @type {any} */ event) => void (match.value = event.target.value)} />
        </div>`}
        <div class="dialog-actions">
          <button type="button" class="button" ref=${stay} onClick=${leave}>${cancel}</button>
          ${action && html`<button class="button ${danger ? 'danger' : 'primary'}" aria-busy=${form.busy}
            disabled=${form.busy.value || (typed && match.value.trim() !== typed)}>${action}</button>`}
        </div>
      </form>
    </dialog>`;
}

/** Asks for the password again. Answers whether it was proven. */
export const askPassword = async () => (await ask({
  title: 'Confirm it is you',
  lead: 'This changes who can sign in or what is trusted, so your password is asked for again. It then counts for a '
    + 'few minutes.',
  fields: [{ name: 'password', label: 'Your password', type: 'password', autocomplete: 'current-password', required: true }],
  action: 'Confirm',
  run: ({ password }) => reauthenticate(password).catch(refusal => {
    if (refusal instanceof Refusal && refusal.code === 'invalid_credentials') {
      refusal.errors = [{ field: 'password', code: 'wrong', message: 'That is not your password.' }];
    }
    throw refusal;
  }),
})) === true;
