// Adds a "Show" button to every password field. Without it the forms work just the same.
for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('input[type=password]'))) {
  const button = document.createElement('button');
  const name = input.labels?.[0].textContent?.trim().toLowerCase();
  const show = (/** @type {boolean} */ shown) => {
    input.type = shown ? 'text' : 'password';
    button.textContent = shown ? 'Hide' : 'Show';
    button.setAttribute('aria-label', `${button.textContent} ${name}`);
  };
  button.type = 'button';
  button.className = 'button quiet slim reveal';
  button.addEventListener('click', () => show(input.type === 'password'));
  // Browsers remember what stands in text fields.
  input.form?.addEventListener('submit', () => show(false));
  show(false);
  input.after(button);
}
