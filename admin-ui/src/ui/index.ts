// All that pages are built from. The chart library is not among it: Chart loads that by itself.
export * from './button.tsx';
export * from './chart.tsx';
export * from './copy.tsx';
export * from './dialog.tsx';
export * from './fields.tsx';
export * from './icons.tsx';
export * from './parts.tsx';
export * from './table.tsx';
export { SearchField } from './search.tsx';
export { toast } from './toast.tsx';
