/** People, apps and sessions, made by the API. */
import { AGENTS, PASSWORD, signIn } from './house.mjs';

export const HOSTILE = {
  markup: '<img src=x onerror=alert(1)><script>alert(2)</script>',
  rightToLeft: 'مدير النظام الرئيسي',
  long: 'Wolfeschlegelsteinhausenbergerdorff'.repeat(5),
  emoji: '👩🏽‍🚀🧑‍🧑‍🧒‍🧒 Zoë 🏴‍☠️',
};

/** Fills an appliance: users, one app of every strategy, and sessions from several devices and networks.
 * @param {string} origin */
export async function seed(origin) {
  const admin = await signIn(origin, { agent: AGENTS.firefox, from: '2001:db8:1:2::10' });
  const users = [
    { login: 'ada', name: 'Ada Lovelace', email: 'ada@example.com', groups: ['engineering'] },
    { login: 'grace', name: 'Grace Hopper', email: 'grace@example.com', role: 'admin', groups: ['engineering', 'navy'] },
    { login: 'alan', name: 'Alan Turing', email: 'alan@example.com' },
    { login: 'edsger', name: 'Edsger Dijkstra' },
    { login: 'barbara', name: 'Barbara Liskov', email: 'barbara@example.com' },
  ];
  for (const user of users) await admin.must('POST', '/admin/users', { ...user, password: PASSWORD });
  const apps = [
    { id: 'shop', name: 'Shop', strategy: 'refresh', confidential: true, origins: ['https://shop.example'] },
    { id: 'wiki', name: 'Team wiki', strategy: 'session' },
    { id: 'reports', name: 'Reports', strategy: 'tracked', access_minutes: 480 },
    { id: 'metrics', name: 'Metrics', strategy: 'jwt' },
  ];
  for (const app of apps) await admin.must('POST', '/admin/apps', app);
  const visits = /** @type {[string, string, string, string][]} */ ([
    ['ada', 'shop', AGENTS.iphone, '203.0.113.8'], ['ada', 'wiki', AGENTS.windows, '203.0.113.9'],
    ['grace', 'reports', AGENTS.firefox, '198.51.100.10'], ['alan', 'shop', AGENTS.android, '203.0.113.10'],
    ['edsger', 'default', AGENTS.curl, '2001:db8:77:14::1'], ['barbara', 'wiki', AGENTS.ipad, '198.51.100.12'],
    ['barbara', 'shop', AGENTS.windows, '203.0.113.77'], ['alan', 'reports', AGENTS.firefox, '192.0.2.4'],
  ]);
  for (const [login, app, agent, from] of visits) await signIn(origin, { login, app, agent, from });
  return admin;
}

/** @param {{ must: (method: string, path: string, body?: any) => Promise<any> }} admin */
export async function seedHostile(admin) {
  let n = 0;
  for (const name of Object.values(HOSTILE)) {
    n++;
    await admin.must('POST', '/admin/users', { login: `hostile-${n}`, name, password: PASSWORD });
  }
  return ['hostile-1', 'hostile-2', 'hostile-3', 'hostile-4'];
}
