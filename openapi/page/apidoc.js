// The page at /apidoc: Swagger UI on this server's own document. A sign-in is taken over, so that the calls behind it are
// made as that user; the token is kept in this tab's memory only.
'use strict';

(() => {
  const session = document.getElementById('session');
  const scheme = 'bearer';

  // Swagger UI has the colours, and leaves the choice to the page: the reader's system has made it.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const colour = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.addEventListener('change', colour);
  colour();

  const isCall = (response, path, method) => {
    const url = new URL(response.url, document.baseURI);
    return response.ok && url.pathname.endsWith(path) && (response.method ?? method) === method;
  };

  const takeOver = (response) => {
    const body = response.body ?? response.obj;
    if (!body?.accessToken) return;
    ui.preauthorizeApiKey(scheme, body.accessToken);
    session.textContent = 'Signed in: the calls below carry your access token.';
  };

  const forget = () => {
    ui.authActions.logout([scheme]);
    session.textContent = '';
  };

  const ui = SwaggerUIBundle({
    url: new URL('openapi.json', document.baseURI).pathname,
    dom_id: '#apidoc',
    deepLinking: true,
    displayOperationId: true,
    displayRequestDuration: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    persistAuthorization: false,
    queryConfigEnabled: false, // nobody else's document by a link to this page
    validatorUrl: null, // no other host is asked
    presets: [SwaggerUIBundle.presets.apis],
    responseInterceptor: (response) => {
      if (isCall(response, '/v1/auth/signin', 'POST') || isCall(response, '/v1/auth/refresh', 'POST')) takeOver(response);
      if (isCall(response, '/v1/auth/signout', 'POST')) forget();
      return response;
    },
  });
})();
