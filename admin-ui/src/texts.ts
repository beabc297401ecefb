// Every sentence of the page, in each language. Both have the same names: the compiler says when one lacks.
const en = {
  what: 'One OpenAI-compatible address over a pool of Cerebras API keys.',
  state: 'State',
  asking: 'Asking the Worker…',
  ready: 'Ready to serve.',
  notReady: 'Not ready yet.',
  silent: 'The Worker does not answer. Reload the page when it runs again.',
  clients: 'Point your tools here',
  openai: 'OpenAI clients, base URL',
  cerebras: 'Cerebras SDKs, base URL',
  token: 'API key',
  tokenText: 'a token of Rondo (rk-…), or the value of AUTH_PASSWORD',
  admin: 'Set it up',
  adminFirst: 'No password is set. Set one with the setup code, then add keys and tokens under /api:',
  adminThen: 'A password is set. Log in under /api to manage keys, tokens and models:',
  notice:
    "Rondo is not made by Cerebras. Pool only keys that you are entitled to use, under the provider's terms.",
};

const zh: typeof en = {
  what: '一个兼容 OpenAI 的地址，背后是一组 Cerebras API 密钥。',
  state: '状态',
  asking: '正在询问 Worker…',
  ready: '可以提供服务。',
  notReady: '尚未就绪。',
  silent: 'Worker 没有响应。恢复运行后请刷新本页。',
  clients: '让你的工具指向这里',
  openai: 'OpenAI 客户端的 base URL',
  cerebras: 'Cerebras SDK 的 base URL',
  token: 'API 密钥',
  tokenText: 'Rondo 的令牌（rk-…），或 AUTH_PASSWORD 的值',
  admin: '设置',
  adminFirst: '尚未设置密码。请用设置码设置密码，然后在 /api 下添加密钥和令牌：',
  adminThen: '密码已设置。请在 /api 下登录，管理密钥、令牌和模型：',
  notice: 'Rondo 并非 Cerebras 出品。请只汇集你有权使用的密钥，并遵守提供方的条款。',
};

export const language = navigator.language.toLowerCase().startsWith('zh') ? 'zh-Hans' : 'en';
export const texts = language === 'en' ? en : zh;
