// The language of the page: the browser's, or the one chosen here.
import { effect, signal } from '@preact/signals';
import { store, stored } from './stored.ts';

export type Language = 'en' | 'zh';

const chosen = stored('language');
const browser: Language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';

export const language = signal<Language>(chosen === 'en' || chosen === 'zh' ? chosen : browser);

effect(() => {
  document.documentElement.lang = language.value === 'zh' ? 'zh-Hans' : 'en';
});

export function setLanguage(next: Language) {
  language.value = next;
  store('language', next);
}

/**
 * Binds the two languages of a page's texts. The types make a sentence that lacks in Chinese a compile error.
 * Call the result inside a component (`const t = texts()`): it renders again when the language changes.
 */
export function bind<T>(en: T, zh: NoInfer<T>): () => T {
  return () => (language.value === 'zh' ? zh : en);
}
