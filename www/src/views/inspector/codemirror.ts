/**
 * The editor, in a chunk of its own. It lives in a shadow root: there it may use constructed style sheets,
 * which the content security policy allows, in place of style elements, which it does not.
 */
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { json } from '@codemirror/lang-json';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightSpecialChars, keymap } from '@codemirror/view';
import { tags } from '@lezer/highlight';

export interface Editor {
  set(text: string): void;
  select(from: number, to: number, focus: boolean): void;
  destroy(): void;
}

export interface EditorOptions {
  text: string;
  label: string;
  name: string;
  changed(text: string): void;
  blurred(): void;
}

const theme = EditorView.theme({
  '&': { fontSize: '12px', color: 'var(--ink)', backgroundColor: 'transparent', maxHeight: '45dvh' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55', minHeight: '84px' },
  '.cm-content': { padding: '6px 0', caretColor: 'var(--ink)' },
  '.cm-line': { padding: '0 10px' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    background: 'color-mix(in srgb, var(--accent) 30%, transparent)',
  },
  '.cm-panels': { background: 'var(--panel)', color: 'var(--ink)' },
});

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: 'light-dark(#6b2f5a, #e2a8d0)' },
  { tag: tags.string, color: 'light-dark(#1d5f45, #93d3b2)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'light-dark(#8a4b00, #e6b77a)' },
]);

export function mountEditor(host: HTMLElement, options: EditorOptions): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  let quiet = false;
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        history(),
        drawSelection(),
        highlightSpecialChars(),
        highlightSelectionMatches(),
        keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
        syntaxHighlighting(colours),
        options.name.endsWith('.json') ? json() : [],
        theme,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': options.label, spellcheck: 'false' }),
        EditorView.domEventHandlers({ blur: () => options.blurred() }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !quiet) options.changed(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    set(text) {
      quiet = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      quiet = false;
    },
    select(from, to, focus) {
      view.dispatch({ selection: { anchor: from, head: to } });
      if (focus) view.focus();
    },
    destroy: () => view.destroy(),
  };
}
