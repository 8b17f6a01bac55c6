// What the example pages share: one call, the form, the buttons and the reply. How to use a strategy is in its own file.

export const HALLPASS = 'http://localhost:8000';

/** Calls Hallpass and shows its reply. `options` are those of fetch, and `json` for a body. */
export async function call(method, path, { json, headers, ...options } = {}) {
  const request = {
    method,
    headers: { ...(json && { 'Content-Type': 'application/json' }), ...headers },
    body: json && JSON.stringify(json),
    ...options,
  };
  const response = await fetch(HALLPASS + path, request).catch(() => undefined);
  const reply = !response ? { hint: `Does Hallpass run, and does the app allow ${location.origin}?` }
    : response.status === 204 ? {} : await response.json();
  show(`${method} ${path}`, response?.status ?? 'no reply', reply);
  return { ok: response?.ok ?? false, status: response?.status, reply };
}

/** A log of calls, the latest first. Long secrets are cut: a screen is no place for them. */
function show(call, status, reply) {
  const cut = (key, value) => (/_token$/.test(key) ? `${value.slice(0, 12)}…` : value);
  const entry = document.createElement('li');
  const title = document.createElement('strong');
  const body = document.createElement('pre');
  title.textContent = `${call} → ${status}`;
  body.textContent = JSON.stringify(reply, cut, 2);
  body.tabIndex = 0;
  entry.append(title, body);
  document.querySelector('#replies').prepend(entry);
}

/** Says who is signed in; without a user, that nobody is. */
export function showUser(user) {
  document.querySelector('#who').textContent = user ? `Signed in as ${user.name || user.login}.` : 'Nobody is signed in.';
}

/** Ties the page's form and buttons to what they do. */
export function wire({ signIn, ...actions }) {
  const form = document.querySelector('form');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const { login, password } = Object.fromEntries(new FormData(form));
    form.reset();
    signIn(login, password);
  });
  for (const [name, action] of Object.entries(actions)) {
    document.querySelector(`#${name}`).addEventListener('click', () => action());
  }
}
