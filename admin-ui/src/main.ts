// The admin page's first sign of life: what the Worker says about itself.
const status = document.getElementById('status');
if (status) {
  try {
    const response = await fetch('/healthz');
    status.textContent = response.ok ? 'The Worker is alive.' : `The Worker answered ${response.status}.`;
  } catch {
    status.textContent = 'The Worker does not answer.';
  }
}
export {};
