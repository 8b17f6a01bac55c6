// A fresh appliance for one run: its own port and data directory, an administrator, and the calls the run needs.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PASSWORD = 'a long and lovely passphrase';
const START_SECONDS = 30;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

export class Appliance {
  static async start(binary) {
    const appliance = new Appliance();
    const port = await freePort();
    appliance.origin = `http://localhost:${port}`;
    appliance.directory = mkdtempSync(join(tmpdir(), 'hallpass-verifiers-'));
    const options = {
      cwd: appliance.directory,
      env: { PATH: process.env.PATH, HALLPASS_PORT: String(port), HALLPASS_LOG__LEVEL: 'warn', HALLPASS_LOG__ACCESS: 'false' },
    };
    execFileSync(binary, ['user', 'add', 'ada', '--admin', '--password-file', '-'], { ...options, input: PASSWORD });
    appliance.process = spawn(binary, [], { ...options, stdio: ['ignore', 'ignore', 'inherit'] });
    process.once('exit', () => appliance.stop());
    await appliance.untilReady();
    await appliance.signInAsAdmin();
    return appliance;
  }

  async signInAsAdmin() {
    this.admin = (await this.signIn('default')).access_token;
  }

  async untilReady() {
    for (const end = Date.now() + START_SECONDS * 1000; Date.now() < end; await sleep(50)) {
      const ready = await fetch(`${this.origin}/readyz`).catch(() => undefined);
      if (ready?.ok) return;
      if (this.process.exitCode !== null) break;
    }
    throw new Error('the appliance did not start');
  }

  async post(path, body, token) {
    const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
    const answer = await fetch(this.origin + path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  makeApp(fields) {
    return this.post('/api/v1/admin/apps', fields, this.admin);
  }

  signIn(app) {
    return this.post('/api/v1/auth/login', { login: 'ada', password: PASSWORD, app });
  }

  /** A new key signs from now on. */
  rotateKey(algorithm) {
    return this.post('/api/v1/admin/keys/rotate', { algorithm }, this.admin);
  }

  /** The key counts no more, nor does anything that it signed. */
  retireKey(kid) {
    return this.post('/api/v1/admin/blacklist', { kid, reason: 'retired by a test' }, this.admin);
  }

  async keys() {
    return (await (await fetch(`${this.origin}/.well-known/jwks.json`)).json()).keys;
  }

  stop() {
    this.process.kill('SIGTERM');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
