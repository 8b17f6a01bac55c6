/** Preact as these pages use it: `html` templates instead of JSX, signals for what changes. */
import { h } from '../../vendor/preact.js';
import htm from '../../vendor/htm.js';

export { render } from '../../vendor/preact.js';
export { useEffect, useId, useRef } from '../../vendor/hooks.js';
export { batch, computed, effect, signal, useComputed, useSignal } from '../../vendor/signals.js';

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);
