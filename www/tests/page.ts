/** What the tests do over and over: open the page, wait for its digests, read them, drop files on it. */
import AxeBuilder from '@axe-core/playwright';
import { expect, type Locator, type Page } from '@playwright/test';

/** The page with all digests known. Anything the browser complains about fails the test. */
export async function open(page: Page, hash = ''): Promise<void> {
  page.on('pageerror', (error) => {
    throw error;
  });
  await page.goto(`./${hash}`);
  await settled(page);
}

export async function settled(page: Page): Promise<void> {
  await expect(rail(page)).toHaveAttribute('data-state', 'settled');
}

export function rail(page: Page): Locator {
  return page.locator('section[aria-label="Digests"]');
}

/** Which cards of the rail glow, by their names: `diff:2`, `blob:2`, `config`… */
export async function fresh(page: Page): Promise<string[]> {
  await settled(page);
  return rail(page)
    .locator('[data-fresh="true"]')
    .evaluateAll((cards) => cards.map((card) => (card as HTMLElement).dataset.card!));
}

export async function digest(page: Page, card: string): Promise<string> {
  const chip = rail(page).locator(`[data-card="${card}"] [data-digest]`);
  return (await chip.getAttribute('data-digest'))!;
}

export async function digests(page: Page): Promise<Record<string, string>> {
  await settled(page);
  const cards = await rail(page)
    .locator('[data-card]')
    .evaluateAll((all) => all.map((card) => (card as HTMLElement).dataset.card!));
  const found: Record<string, string> = {};
  for (const card of cards) found[card] = await digest(page, card);
  return found;
}

export function layer(page: Page, name: string): Locator {
  return page.getByRole('group', { name: new RegExp(`^Layer [A-Z]+, ${name}$`) });
}

export async function choose(page: Page, name: string): Promise<void> {
  await layer(page, name).getByRole('button', { pressed: undefined }).first().click();
}

export async function tab(page: Page, name: string): Promise<void> {
  await page.getByRole('tab', { name }).click();
}

export function treeRow(page: Page, path: string): Locator {
  return page.locator(`[role="treeitem"][data-path="${path}"]`);
}

/** Makes an entry by the menu and the form. */
export async function make(
  page: Page,
  kind: string,
  path: string,
  target?: { label: string; value: string },
) {
  await page.getByRole('button', { name: 'New…' }).click();
  await page.getByRole('menuitem', { name: kind }).click();
  const form = page.getByRole('form');
  await form.getByRole('textbox').first().fill(path);
  if (target) await form.getByLabel(target.label).fill(target.value);
  await form.getByRole('button', { name: /Make|Mark/ }).click();
}

export interface Picked {
  name: string;
  buffer: Buffer;
}

/** Drops files on the page, or on a place in it. */
export async function drop(page: Page, files: Picked[], onto = page.locator('body')): Promise<void> {
  const data = files.map(({ name, buffer }) => ({ name, base64: buffer.toString('base64') }));
  await onto.evaluate(async (element, list) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of list) {
      transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
    }
    const event = { bubbles: true, cancelable: true, dataTransfer: transfer };
    element.dispatchEvent(new DragEvent('dragover', event));
    element.dispatchEvent(new DragEvent('drop', event));
  }, data);
}

/** Opens an archive, and waits until all of it is read. */
export async function openArchive(page: Page, name: string, buffer: Buffer): Promise<void> {
  await drop(page, [{ name, buffer }]);
  await expect(page.getByRole('status').filter({ hasText: `${name} is ` })).toBeVisible();
  await settled(page);
}

/** Takes the layer at a letter in hand. */
export async function take(page: Page, letter: string): Promise<void> {
  await page
    .getByRole('group', { name: new RegExp(`^Layer ${letter},`) })
    .getByRole('button')
    .first()
    .click();
}

export function archiveCard(page: Page): Locator {
  return page.getByRole('region', { name: 'The archive' });
}

/** No part of the page is wider than the page. */
export async function fits(page: Page): Promise<void> {
  expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
}

/** Nothing here keeps anybody out, in both themes: axe's rules, contrast among them. One page for all, as a new one is
 *  dear. */
export async function noBarriers(page: Page, where = ''): Promise<void> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // Colours fade; they are judged when they rest.
    await page.evaluate(async () => {
      const ends = (one: Animation) => Number.isFinite(one.effect?.getComputedTiming().endTime);
      const all = document.getAnimations().filter(ends);
      await Promise.all(all.map(({ finished }) => finished.catch(() => {})));
    });
    const axe = new AxeBuilder({ page });
    // What is not a colour is the same in both.
    if (colorScheme === 'dark') axe.withRules(['color-contrast']);
    const { violations } = await axe.analyze();
    for (const { id, nodes } of violations)
      found.push(`${where} ${colorScheme}, ${id}: ${nodes.map(({ html }) => html).join('\n')}`);
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  expect(found).toEqual([]);
}
