// Serves these pages on http://localhost:3000. To Hallpass on port 8000 that is another origin, but the same site, as
// app.example.org and auth.example.org are, and so browsers send its cookies along.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const PORT = process.env.PORT ?? 3000;
const OWN = `http://localhost:${PORT}`;
const HALLPASS = process.env.HALLPASS ?? 'http://localhost:8000';
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css' };

createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const [, name, kind] = /^\/([a-z]+\.(html|js|css))$/.exec(pathname === '/' ? '/index.html' : pathname) ?? [];
  const file = name && await readFile(new URL(name, import.meta.url), 'utf8').catch(() => undefined);
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, {
    'Content-Type': TYPES[kind],
    'Cache-Control': 'no-store',
    // Tokens in a page's memory are as safe as the page: nothing inline, nothing from elsewhere.
    'Content-Security-Policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; `
      + `connect-src ${HALLPASS}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  });
  return response.end(file.replaceAll('http://localhost:8000', HALLPASS).replaceAll('http://localhost:3000', OWN));
}).listen(PORT, 'localhost', () => console.log(OWN));
