#include "text/language.h"

#include <gtest/gtest.h>

#include <set>

namespace fieldprint {
namespace {

struct Sample {
  const char* code;
  const char* text;
};

// Sentences of our own, on things of every day.
constexpr Sample kSamples[] = {
    {"en", "The train was late this morning, so we walked to the office and had a cup of tea on the way."},
    {"en", "Sure! Here are three ways to sort a list in Python, with the cost of each of them."},
    {"en", "Her résumé says that Beyoncé sang at the café, which is a cliché of some naïve writer."},
    {"de", "Der Zug hatte heute Morgen Verspätung, und deshalb sind wir zu Fuß ins Büro gegangen."},
    {"de", "Das ist ein Haus mit einem Garten und es steht am Rand der Stadt."},
    {"fr", "Le train avait du retard ce matin, alors nous sommes allés au bureau à pied avec nos amis."},
    {"es", "El tren llegó tarde esta mañana, así que fuimos a la oficina caminando y tomamos un café."},
    {"pt", "O trem atrasou hoje de manhã, então nós fomos ao escritório a pé e não tomamos café."},
    {"it", "Il treno era in ritardo questa mattina, così siamo andati in ufficio a piedi con gli amici."},
    {"nl", "De trein had vanmorgen vertraging, dus wij zijn naar het kantoor gelopen en hebben daar koffie gedronken."},
    {"sv", "Tåget var sent i morse, så vi gick till kontoret och drack en kopp kaffe på vägen."},
    {"da", "Toget var forsinket i morges, så vi gik hen på kontoret og drak en kop kaffe, som ikke var god af smag."},
    {"fi", "Juna oli myöhässä tänä aamuna, joten me kävelimme toimistoon ja joimme kahvia, mutta se ei ollut hyvää."},
    {"pl", "Pociąg był dziś rano opóźniony, więc poszliśmy do biura pieszo i nie było czasu na kawę."},
    {"cs", "Vlak měl dnes ráno zpoždění, a tak jsme šli do kanceláře pěšky, protože je to blízko."},
    {"hu", "A vonat ma reggel késett, ezért gyalog mentünk az irodába, és nem volt idő kávéra."},
    {"ro", "Trenul a întârziat în această dimineață, așa că am mers pe jos la birou și nu am băut cafea."},
    {"tr", "Tren bu sabah geç kaldı, bu yüzden ofise kadar yürüdük ve çok güzel bir kahve içtik."},
    {"id", "Kereta terlambat pagi ini, jadi kami berjalan kaki ke kantor dan minum kopi yang enak."},
    {"vi", "Sáng nay tàu đến muộn nên chúng tôi đi bộ đến văn phòng và uống một cốc cà phê."},
    {"sw", "Treni ilichelewa leo asubuhi, kwa hivyo tulitembea kwa miguu na watu wengine katika mji."},
    {"ru", "Поезд сегодня утром опоздал, и поэтому мы пошли в офис пешком, но это было не так далеко."},
    {"uk", "Потяг сьогодні вранці запізнився, тому ми пішли до офісу пішки, але це було не дуже далеко."},
    {"bg", "Влакът закъсня тази сутрин и затова отидохме пеша до офиса, но това не е далеч."},
    {"ar", "تأخر القطار هذا الصباح لذلك ذهبنا إلى المكتب سيرا على الأقدام مع الأصدقاء."},
    {"fa", "قطار امروز صبح دیر کرد و ما برای رفتن به اداره پیاده رفتیم که این خوب است."},
    {"ur", "آج صبح ٹرین دیر سے آئی اور ہم دفتر تک پیدل گئے لیکن یہ زیادہ دور نہیں ہے۔"},
    {"hi", "आज सुबह ट्रेन देर से आई और हम दफ्तर तक पैदल गए, लेकिन यह बहुत दूर नहीं है।"},
    {"mr", "आज सकाळी गाडी उशिरा आली आणि आम्ही कार्यालयात चालत गेलो, पण ते लांब नाही आहे."},
    {"ne", "आज बिहान रेल ढिलो आयो र हामी कार्यालय हिँडेर गयौं, तर यो धेरै टाढा छैन।"},
    {"zh", "今天早上火车晚点了，所以我们走路去办公室。"},
    {"ja", "今朝は電車が遅れたので、私たちは歩いて会社に行きました。"},
    {"ko", "오늘 아침 기차가 늦어서 우리는 사무실까지 걸어갔습니다."},
    {"el", "Το τρένο άργησε σήμερα το πρωί."},
    {"he", "הרכבת איחרה הבוקר."},
    {"th", "เช้านี้รถไฟมาสาย"},
    {"bn", "আজ সকালে ট্রেন দেরি করেছে।"},
    {"ta", "இன்று காலை ரயில் தாமதமாக வந்தது."},
    {"te", "ఈ ఉదయం రైలు ఆలస్యంగా వచ్చింది."},
    {"kn", "ಇಂದು ಬೆಳಿಗ್ಗೆ ರೈಲು ತಡವಾಯಿತು."},
    {"ml", "ഇന്ന് രാവിലെ ട്രെയിൻ വൈകി."},
    {"gu", "આજે સવારે ટ્રેન મોડી હતી."},
    {"pa", "ਅੱਜ ਸਵੇਰੇ ਰੇਲਗੱਡੀ ਲੇਟ ਸੀ।"},
};

TEST(Language, OfSentences) {
  for (const Sample& sample : kSamples) EXPECT_EQ(guess_language(sample.text).code, sample.code) << sample.text;
}

TEST(Language, IsNotSaidOfWhatHasNone) {
  for (const char* text : {"", "12 + 7 = 19", "!!!", "\xFF\xFE", "qwrtz plmk xkcd"})
    EXPECT_EQ(guess_language(text).code, "") << text;
}

TEST(Language, IsThatOfMostLetters) {
  const auto guess = guess_language("今天早上火车晚点了，所以我们走路去办公室。 (train)");
  EXPECT_EQ(guess.code, "zh");
  EXPECT_GT(guess.share, 0.5);
  EXPECT_LT(guess.share, 1);
}

TEST(Language, CodesAreThereOnceAndFound) {
  std::set<std::string_view> codes;
  for (const LanguageProfile& profile : language_profiles()) {
    EXPECT_TRUE(codes.insert(profile.code).second) << profile.code;
    EXPECT_EQ(find_language(profile.code), &profile);
  }
  EXPECT_EQ(find_language("zh-cn")->code, "zh");
  EXPECT_EQ(find_language("tlh"), nullptr);
}

}  // namespace
}  // namespace fieldprint
