/** Mounts the page in place of the static shell. */
import { mount } from 'svelte';
import App from './App.svelte';
import { settings } from './state/settings.svelte';
import './styles/tokens.css';
import './styles/base.css';

settings.paint();
const target = document.getElementById('app')!;
target.replaceChildren();
mount(App, { target });
