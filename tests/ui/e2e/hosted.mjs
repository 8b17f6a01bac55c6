/** @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} _browser */
export const hosted = async (t, _browser) => void t;
