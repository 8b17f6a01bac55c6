/** The keyboard shortcuts, and their switch. */
import { html } from '../lib/html.js';
import { ask } from './form.js';
import { shortcuts, store } from './parts.js';

/** @param {{ key: string, label: string }[]} nav where `g` and a key go */
export const help = nav => ask({
  title: 'Keyboard shortcuts',
  lead: html`<dl class="keys">${[
    ['/', 'Search'], ['j, k', 'Next row, row before'], ['x, Shift x', 'Select the row, a range'], ['e', 'Open the row'],
    ['#', 'Revoke the row or the selection'], ['n', 'Create'],
    ...nav.map(({ key, label }) => [`g ${key}`, `Go to ${label}`]), ['?', 'This list'],
  ].map(([keys, does]) => html`
    <div><dt>${keys.split(', ').map(key => html`<kbd>${key}</kbd> `)}</dt><dd>${does}</dd></div>`)}</dl>`,
  fields: [{ name: 'on', label: 'Single keys are shortcuts', type: 'check', value: shortcuts.value }],
  cancel: 'Close',
  action: 'Save',
  run: async ({ on }) => {
    shortcuts.value = on;
    store('hallpass-shortcuts', on ? 'on' : 'off');
  },
});
