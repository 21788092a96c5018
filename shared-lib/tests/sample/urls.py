from django.urls import path
from sample import api

urlpatterns = [
    path("notes", api.NotesView.as_view()),
    path("notes/staff", api.StaffNotesView.as_view()),
    path("note", api.NoteView.as_view()),
    path("parcels", api.ParcelView.as_view()),
    path("crash", api.CrashView.as_view()),
]
internal_urlpatterns = [path("refunds", api.InternalRefundView.as_view())]
