from notifications.texts.base import Language, Text

LANGUAGE = Language(
    code="de",
    greeting="Guten Tag,",
    greeting_by_name="Guten Tag {name},",
    link_hint="Falls die Schaltfläche nicht funktioniert, öffnen Sie diese Adresse:",
    money_back="Was Sie dafür bezahlt haben, erhalten Sie zurück.",
    footer="Sie erhalten diese Nachricht wegen Ihres Kontos bei uns. Sie wurde automatisch versendet.",
    labels={
        "number": "Bestellung",
        "item_count": "Artikel",
        "total": "Gesamtbetrag",
        "carrier": "Versand durch",
        "tracking_number": "Sendungsnummer",
        "amount": "Betrag",
    },
    texts={
        "welcome": Text(
            title="Willkommen! Bitte bestätigen Sie Ihre E-Mail-Adresse",
            body="Ihr Konto ist bereit. Bestätigen Sie, dass diese Adresse Ihnen gehört, damit niemand sonst sie nutzt.",
            action="Adresse bestätigen",
            note="Sie haben kein Konto bei uns eröffnet? Dann ignorieren Sie diese Nachricht: Ohne Bestätigung gilt die "
            "Adresse nicht als Ihre.",
        ),
        "welcome:verified": Text(
            title="Willkommen!",
            body="Ihr Konto ist bereit und Ihre E-Mail-Adresse ist bestätigt.",
            action="Zum Shop",
        ),
        "address_in_use": Text(
            title="Sie haben bereits ein Konto bei uns",
            body="Gerade wollte jemand mit dieser E-Mail-Adresse ein Konto eröffnen, doch zu ihr gibt es schon eines. "
            "Es wurde nichts geändert. Falls Sie es waren: Melden Sie sich einfach an; ein vergessenes Passwort können "
            "Sie dort zurücksetzen.",
            action="Anmelden",
            note="Sie waren es nicht? Dann brauchen Sie nichts zu tun.",
        ),
        "verify_email": Text(
            title="Bitte bestätigen Sie Ihre E-Mail-Adresse",
            body="Bestätigen Sie mit einem Klick, dass diese Adresse Ihnen gehört.",
            action="Adresse bestätigen",
            note="Sie haben das nicht angefordert? Dann ignorieren Sie diese Nachricht.",
        ),
        "password_reset": Text(
            title="Wählen Sie ein neues Passwort",
            body="Sie haben ein neues Passwort angefordert. Mit dem folgenden Link können Sie eines wählen; er gilt "
            "einmal und nur für kurze Zeit.",
            action="Neues Passwort wählen",
            note="Sie haben das nicht angefordert? Dann ignorieren Sie diese Nachricht: Ihr Passwort bleibt, wie es ist.",
        ),
        "order_placed": Text(
            title="Ihre Bestellung {number} ist eingegangen",
            body="Sie ist für Sie reserviert, bis sie bezahlt ist. Gesamtbetrag: {total}.",
            action="Zur Bestellung",
        ),
        "order_placed:free": Text(
            title="Ihre Bestellung {number} ist eingegangen",
            body="Sie kostet nichts: Es ist nichts zu bezahlen.",
            action="Zur Bestellung",
        ),
        "order_confirmed": Text(
            title="Ihre Bestellung {number} ist bestätigt",
            body="Vielen Dank! Ihre Zahlung ist eingegangen, und wir bereiten Ihre Bestellung vor.",
            action="Zur Bestellung",
        ),
        "order_confirmed:free": Text(
            title="Ihre Bestellung {number} ist bestätigt",
            body="Vielen Dank! Es ist nichts zu bezahlen, und wir bereiten Ihre Bestellung vor.",
            action="Zur Bestellung",
        ),
        "order_cancelled": Text(
            title="Ihre Bestellung {number} wurde storniert",
            body="Die Bestellung wurde storniert.",
            action="Zur Bestellung",
        ),
        "order_cancelled:buyer": Text(
            title="Ihre Bestellung {number} wurde storniert",
            body="Wir haben die Bestellung wie gewünscht storniert.",
            action="Zur Bestellung",
        ),
        "order_cancelled:expired": Text(
            title="Ihre Bestellung {number} wurde storniert",
            body="Die Bestellung wurde nicht rechtzeitig bezahlt. Sie können jederzeit neu bestellen.",
            action="Zur Bestellung",
        ),
        "order_cancelled:replaced": Text(
            title="Ihre Bestellung {number} wurde ersetzt",
            body="Sie haben aus demselben Warenkorb neu bestellt; deshalb wurde diese unbezahlte Bestellung storniert.",
            action="Zur Bestellung",
        ),
        "order_cancelled:out_of_stock": Text(
            title="Ihre Bestellung {number} wurde storniert",
            body="Es tut uns leid: Etwas aus Ihrer Bestellung ist ausverkauft. Was Sie dafür bezahlt haben, erhalten "
            "Sie zurück.",
            action="Zur Bestellung",
        ),
        "order_shipped": Text(
            title="Ihre Bestellung {number} ist unterwegs",
            body="Wir haben Ihr Paket an {carrier} übergeben. Sendungsnummer: {tracking_number}.",
            action="Zur Bestellung",
        ),
        "order_delivered": Text(
            title="Ihre Bestellung {number} ist angekommen",
            body="Ihr Paket wurde zugestellt. Wir hoffen, dass Ihnen der Inhalt gefällt.",
            action="Zur Bestellung",
        ),
        "order_refunded": Text(
            title="Ihr Geld für die Bestellung {number} ist auf dem Weg zurück",
            body="Wir haben Ihnen {amount} auf demselben Weg erstattet, auf dem Sie bezahlt haben. Bis das Geld da ist, "
            "können einige Tage vergehen.",
            action="Zur Bestellung",
        ),
        "order_return_rejected": Text(
            title="Ihre Rücksendung aus der Bestellung {number} können wir nicht annehmen",
            body="Wir haben Ihren Wunsch geprüft und können die Ware leider nicht zurücknehmen. Den Grund finden Sie bei "
            "Ihrer Bestellung.",
            action="Zur Bestellung",
        ),
        "payment_attempt_failed": Text(
            title="Ihre Zahlung war nicht erfolgreich",
            body="Die Zahlung von {amount} wurde abgelehnt. Ihre Bestellung bleibt reserviert: Bitte versuchen Sie es mit "
            "einer anderen Zahlungsart.",
            action="Zur Bestellung",
        ),
        "cart_reminder": Text(
            title="In Ihrem Warenkorb liegt noch etwas",
            body="Es liegt noch dort, ist aber nicht für Sie reserviert: Auch andere können es kaufen.",
            action="Zum Warenkorb",
            note="Es gelten die heutigen Preise, ohne Versand.",
        ),
    },
)
