// What pages can do better with JavaScript; all of them work without. Written
// for the browsers of iOS 12 and Android 7.
(function () {
  'use strict';
  function each(selector, fn) {
    Array.prototype.forEach.call(document.querySelectorAll(selector), fn);
  }
  function show(visible) {
    each('input[data-secret]', function (input) { input.type = visible ? 'text' : 'password'; });
    each('[data-show] input', function (box) { box.checked = visible; });
  }
  function say(id, text) {
    var place = document.getElementById(id);
    if (place) { place.textContent = text; }
  }

  each('#problem', function (summary) { summary.focus(); });

  each('[data-show]', function (label) {
    label.hidden = false;
    label.querySelector('input').addEventListener('change', function () { show(this.checked); });
  });

  // A username that its field cuts off, above all in large type, is written
  // out below it: a field that cannot be typed in cannot well be scrolled.
  each('input[readonly]', function (input) {
    if (input.scrollWidth > input.clientWidth) {
      var whole = document.createElement('p');
      whole.className = 'whole';
      whole.setAttribute('aria-hidden', 'true');
      whole.textContent = input.value;
      input.parentNode.insertBefore(whole, input.nextSibling);
    }
  });

  // Names and passphrases to choose from: fill the fields here, ask nobody.
  each('[data-name]', function (text) {
    var button = document.createElement('button');
    button.type = 'button';
    button.className = 'second';
    button.textContent = text.textContent;
    button.addEventListener('click', function () {
      var field = document.getElementById('username');
      field.value = text.textContent;
      field.focus();
    });
    text.parentNode.replaceChild(button, text);
  });
  each('#suggestion', function (form) {
    form.addEventListener('submit', function (event) {
      event.preventDefault();
      each('input[data-new]', function (input) { input.value = form.elements.suggested.value; });
      show(true);
      say('used', document.getElementById('used').getAttribute('data-text'));
      document.querySelector('form:not(#suggestion) button[type=submit]:not([form])').focus();
    });
  });

  // Pressed once is enough. The fields become passwords again, so that
  // password managers offer to keep them.
  each('form:not(#suggestion)', function (form) {
    form.addEventListener('submit', function () {
      show(false);
      setTimeout(function () {
        each('button', function (button) { button.disabled = true; });
      }, 0);
    });
  });
  window.addEventListener('pageshow', function (event) {
    if (event.persisted) {
      each('button', function (button) { button.disabled = false; });
    }
  });
})();
