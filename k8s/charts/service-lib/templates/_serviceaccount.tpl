{{- define "service-lib.serviceAccount" -}}
{{- with .Values.serviceAccount }}
{{- if .create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "service-lib.metadata" (dict "root" $ "component" "all" "name" (include "service-lib.serviceAccountName" $)) | nindent 2 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end }}
{{- end }}
