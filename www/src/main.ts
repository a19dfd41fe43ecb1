/** Mounts the page in place of the static shell. */
import { mount } from 'svelte';
import App from './App.svelte';
import { session } from './state/session.svelte';
import { settings } from './state/settings.svelte';
import './styles/tokens.css';
import './styles/base.css';

settings.paint();
const target = document.getElementById('app')!;
target.replaceChildren();
mount(App, { target });

// For the test of the crash dialog: only asked for by address, and harmless, since the work survives it.
if (location.search === '?panic-test') {
  const provokePanic = () => void session.client.call({ kind: 'provoke-panic' }).catch(() => {});
  Object.assign(window, { provokePanic });
}
