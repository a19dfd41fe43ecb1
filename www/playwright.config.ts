/** The browser tests drive the built page in a real Chromium; build first. */
import { defineConfig } from '@playwright/test';

// Several checkouts on one machine may test at the same time.
const ours = [...process.cwd()].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1000, 0);
const port = Number(process.env.HANDROLL_E2E_PORT ?? 4200 + ours);

export default defineConfig({
  testDir: 'tests',
  // Bounds for what hangs, not for what is slow: other checks run beside these, on any machine.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  fullyParallel: true,
  workers: '100%',
  // Once more on a machine that others share; what passed only then is listed as flaky.
  retries: process.env.CI ? 1 : 0,
  reporter: [['list']],
  use: {
    baseURL: `http://127.0.0.1:${port}/`,
    // Recording is a fifth of the work: where a test is tried once more, it is recorded then.
    trace: process.env.CI ? 'on-first-retry' : 'retain-on-failure',
    viewport: { width: 1440, height: 900 },
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  webServer: {
    command: `node scripts/serve.mjs ${port}`,
    port,
    reuseExistingServer: false,
  },
});
