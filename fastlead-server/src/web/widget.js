'use strict';

const WORDS = {
  ru: {
    lead: 'Так форма стоит на сайте: одна строка кода.', inline: 'Форма на странице', popup: 'Форма поверх страницы',
    popupText: 'Открывает любая кнопка или ссылка. Без сценариев та же ссылка ведёт на готовую форму.', open: 'Записаться',
    corner: 'В углу — кнопка обратного звонка.', code: 'Код', heard: 'Что слышит сайт', follow: 'Что стало с заявкой',
  },
  en: {
    lead: 'This is how the form stands on a site: one line of code.', inline: 'Form on the page', popup: 'Form over the page',
    popupText: 'Any button or link opens it. Without scripts the same link leads to the hosted form.', open: 'Make an appointment',
    corner: 'In the corner is a call-back button.', code: 'Code', heard: 'What the site hears', follow: 'What became of the lead',
  },
};

for (const name of ['shown', 'sent', 'queued', 'refused']) {
  document.addEventListener(`fastlead:${name}`, ({ detail }) => {
    const line = element('li');
    line.append(element('code', `fastlead:${name}`), ` ${JSON.stringify(detail)}`);
    document.getElementById('heard').append(line);
  });
}
// The widget reads the language of the page when it starts.
onLanguage(() => location.reload());
document.getElementById('code').textContent =
  `<script async src="${location.origin}/w.js" data-source="demo"></script>\n`
  + `<div data-fastlead="demo"></div>\n\n`
  + `<script async src="${location.origin}/w.js" data-source="demo" data-mode="button"></script>\n`
  + `<a href="${location.origin}/f/demo" data-fastlead-open>…</a>`;
translate();
