from shared_lib.jobs import celery_app

app = celery_app("config.settings", beat={"send-due-emails": ("notifications.tasks.send_due_emails", 10.0)})
